"""What a run has measured, and how it is kept in a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.peers import CLIENTS, Client
from bench.peers.sample import Sample
from bench.rounds import Result, Results
from bench.workloads import Workload


@dataclass(frozen=True)
class Report:
    """Samples, with what is to be known about them."""

    #: When, where and how.
    about: dict[str, Any]
    #: What was not measured, with the reason.
    left_out: list[str]
    clients: Sequence[Client]
    workloads: Sequence[Workload]
    results: Results

    def to_json(self) -> dict[str, Any]:
        def plain(result: Result | None) -> Any:
            return result._asdict() if isinstance(result, Sample) else result

        return {
            "about": self.about,
            "left_out": self.left_out,
            "clients": [client.name for client in self.clients],
            "workloads": [asdict(workload) for workload in self.workloads],
            "samples": {
                w: {c: [plain(s) for s in samples] for c, samples in row.items()} for w, row in self.results.items()
            },
        }

    @classmethod
    def load(cls, path: Path) -> Report:
        return cls.from_json(json.loads(path.read_text()))

    @classmethod
    def from_json(cls, read: dict[str, Any]) -> Report:
        workloads = [Workload(**fields) for fields in read["workloads"]]
        rates = {workload.name: workload.has_rate for workload in workloads}

        def result(name: str, figures: dict[str, float] | None) -> Result | None:
            return Sample(**figures) if figures and rates[name] else figures  # type: ignore[arg-type]

        results = {
            name: {client: [result(name, sample) for sample in samples] for client, samples in row.items()}
            for name, row in read["samples"].items()
        }
        clients = [client for client in CLIENTS if client.name in read["clients"]]
        return cls(read["about"], read["left_out"], clients, workloads, results)
