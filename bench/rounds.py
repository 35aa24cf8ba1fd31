"""Interleaved rounds: in each, every client is asked for one sample of every workload, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.environments import ROOT
from bench.peers import Client
from bench.peers.sample import Sample
from bench.workloads import Workload

#: Samples by workload and client, one for each round; None where a client failed.
Results = dict[str, dict[str, list[Sample | None]]]


@dataclass(frozen=True)
class Plan:
    """What to run, and where."""

    clients: Sequence[Client]
    workloads: Sequence[Workload]
    rounds: int
    seconds: float
    port: int
    #: The core of the clients; None leaves them to the scheduler.
    core: int | None
    pythons: dict[str, Path]
    limit: Path

    def command(self, client: Client, workload: Workload) -> list[str]:
        if client.kind == "limit":
            shape = [workload.shape, workload.size, workload.in_flight]
            return [str(self.limit), client.style, *map(str, [*shape, self.seconds, self.port])]
        module = f"bench.peers.{client.module}"
        job = [client.style, workload.name, self.port, self.seconds]
        return [str(self.pythons[client.environment]), "-m", module, *map(str, job)]


def sample(plan: Plan, client: Client, workload: Workload) -> Sample | str:
    """One sample, or what went wrong."""
    pin = (lambda core: lambda: os.sched_setaffinity(0, {core}))(plan.core) if plan.core is not None else None
    try:
        done = subprocess.run(
            plan.command(client, workload),
            cwd=ROOT,
            env=os.environ if client.polls else {**os.environ, "SUNSOCKET_SPIN": "0"},
            capture_output=True,
            text=True,
            timeout=30 + 20 * plan.seconds,
            preexec_fn=pin,
        )
        return Sample(**json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return "it did not end in time"
    except (ValueError, TypeError):
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def run(plan: Plan, say: Callable[[str], None]) -> Results:
    """All rounds. The clients of one workload follow each other closely, so that they meet the same machine."""
    results: Results = {w.name: {c.name: [] for c in plan.clients} for w in plan.workloads}
    for number in range(1, plan.rounds + 1):
        for workload in plan.workloads:
            # Each round begins with another client: none is always the one after the change of workload.
            turn = number % len(plan.clients)
            for client in (*plan.clients[turn:], *plan.clients[:turn]):
                got = sample(plan, client, workload)
                if isinstance(got, str):
                    say(f"round {number}/{plan.rounds}  {workload.name:<9}  {client.name:<18} failed: {got}")
                    results[workload.name][client.name].append(None)
                    continue
                rate, cost = got.messages / got.seconds, got.cpu / got.messages * 1e6
                say(
                    f"round {number}/{plan.rounds}  {workload.name:<9}  {client.name:<18} "
                    f"{rate:>12,.0f} msg/s {cost:>9.3f} µs CPU"
                )
                results[workload.name][client.name].append(got)
    return results
