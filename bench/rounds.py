"""Interleaved rounds: in each, every client is asked for one sample of every workload, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers import Client
from bench.peers.sample import Sample
from bench.programs import CA_FILE, HERE, ROOT
from bench.server import Server, serve
from bench.workloads import Workload

#: A rate with what it cost; or figures by name, of a workload that has no rate.
Result = Sample | dict[str, float]
#: By workload and client, one for each round; None where a client failed.
Results = dict[str, dict[str, list[Result | None]]]
#: One connection in so many may end without the whole closing handshake: those that were under way at the end.
STRAYS = 20


@dataclass(frozen=True)
class Plan:
    """What to run, and where."""

    clients: Sequence[Client]
    workloads: Sequence[Workload]
    rounds: int
    seconds: float
    #: Whether the server has core 1 and the client core 0; otherwise the scheduler decides.
    pinned: bool
    #: Interpreters by environment.
    pythons: dict[str, Path]
    #: By name: ``server``, ``server-tls``, ``limit``, ``rust``.
    programs: dict[str, Path]

    def command(self, client: Client, workload: Workload, port: int) -> list[str]:
        numbers = [str(number) for number in (workload.size, workload.in_flight, self.seconds, port)]
        if client.module == "rust":
            text = workload.text if workload.deflate else ""
            return [str(self.programs["rust"]), workload.shape, *numbers, str(CA_FILE) if workload.tls else "", text]
        if client.kind == "limit":
            return [str(self.programs["limit"]), client.style, workload.shape, *numbers]
        python = str(self.pythons.get(client.environment, sys.executable))
        if workload.shape == "import" and client.imports:
            return [python, str(HERE / "peers" / "importing.py"), client.imports]
        return [
            python,
            "-m",
            f"bench.peers.{client.module}",
            client.style,
            workload.to_json(),
            *map(str, [port, self.seconds]),
        ]

    def samples(self, workload: Workload, number: int) -> bool:
        """Whether a round of that number measures the workload. Memory and wake-ups are the same each time."""
        return number == 1 or workload.shape not in ("idle", "rest")


def sample(plan: Plan, client: Client, workload: Workload, server: Server) -> Result | str:
    """One sample, or what went wrong."""
    pin = (lambda: os.sched_setaffinity(0, {0})) if plan.pinned else None
    server.ends()
    try:
        done = subprocess.run(
            plan.command(client, workload, server.port),
            cwd=ROOT,
            env=os.environ if client.polls else {**os.environ, "SUNSOCKET_SPIN": "0"},
            capture_output=True,
            text=True,
            timeout=30 + 20 * plan.seconds + workload.connections / 100,
            preexec_fn=pin,
        )
        figures = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return "it did not end in time"
    except ValueError:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if workload.shape == "connect":
        ends = server.ends()
        if ends.dropped * STRAYS > ends.completed:
            return f"{ends.dropped} of {sum(ends)} connections ended without the whole closing handshake"
    return Sample(**figures) if workload.has_rate else dict(figures)


def describe(result: Result) -> str:
    if isinstance(result, Sample):
        rate, cost = result.messages / result.seconds, result.cpu / result.messages * 1e6
        return f"{rate:>12,.0f} /s {cost:>10.3f} µs CPU"
    return ", ".join(f"{value:,.1f} {name}" for name, value in result.items())


def run(plan: Plan, say: Callable[[str], None]) -> Results:
    """All rounds. The clients of one workload follow each other closely, so that they meet the same machine."""
    results: Results = {w.name: {} for w in plan.workloads}
    for number in range(1, plan.rounds + 1):
        for workload in plan.workloads:
            able = [client for client in plan.clients if client.can(workload)]
            if not able or not plan.samples(workload, number):
                continue
            # Each round begins with another client: none is always the one after the change of workload.
            turn = number % len(able)
            program = plan.programs["server-tls" if workload.tls else "server"]
            with serve(program, 1 if plan.pinned else None, tls=workload.tls, hot=workload.hot) as server:
                for client in (*able[turn:], *able[:turn]):
                    got = sample(plan, client, workload, server)
                    what = f"failed: {got}" if isinstance(got, str) else describe(got)
                    say(f"round {number}/{plan.rounds}  {workload.name:<13}  {client.name:<23} {what}")
                    results[workload.name].setdefault(client.name, []).append(None if isinstance(got, str) else got)
    return results
