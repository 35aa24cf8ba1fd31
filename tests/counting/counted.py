"""Runs a program and counts its system calls and what it asks of the allocator.

The two tools are C, compiled when they are needed: ``trace.c`` (ptrace) and ``allocations.c`` (preloaded). Where a
process may not be traced, or there is no C compiler, :class:`CannotCount` says so.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import programs
from bench.server import serve

from tests.counting.traffic import of_scheme

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
#: trace.c's exit status where tracing is forbidden.
FORBIDDEN = 125

#: How each face's program is started.
FACES = {
    "threads, handlers": "handlers",
    "threads, recv": "pull",
    "threads, recv_many": "many",
    "asyncio, handlers": "handlers-asyncio",
    "asyncio, recv": "pull-asyncio",
    "script": "",
}


class CannotCount(Exception):
    """Why nothing can be counted on this machine."""


@dataclass(frozen=True)
class Counts:
    """For each message, between two marks."""

    #: By the call's name, or by its number.
    system_calls: dict[str, float]
    allocations: float
    #: Kilobytes asked for.
    kilobytes: float
    #: Pages that the kernel had to provide.
    faults: float

    @property
    def polls(self) -> float:
        """Calls that ask whether a descriptor is ready."""
        asked = ("epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select")
        return sum(self.system_calls.get(name, 0) for name in asked)

    def __str__(self) -> str:
        calls = ", ".join(f"{name} {times:.3g}" for name, times in self.system_calls.items() if times >= 0.005)
        total = sum(self.system_calls.values())
        return (
            f"{total:.4g} system calls ({calls}), {self.allocations:.4g} allocations of "
            f"{self.kilobytes:.4g} kB in all, {self.faults:.4g} page faults"
        )


def compiled(source: str, name: str, *flags: str) -> Path:
    """One of the two tools."""
    program = programs.compile_c(HERE / source, name, *flags)
    if program.path is None:
        raise CannotCount(program.reason)
    return program.path


def command(face: str, scheme: str, port: int) -> list[str]:
    if face != "script":
        return [sys.executable, "-m", "tests.counting.client", FACES[face], str(port), scheme]
    traffic: list[str] = []
    for workload, count in of_scheme(scheme):
        traffic += [workload.name, workload.shape, workload.path, str(workload.size), str(count)]
    flags = ["--compression", "none", *(["--cacert", str(programs.CA_FILE)] if scheme == "wss" else [])]
    script = [str(HERE / "script.luau"), f"{scheme}://127.0.0.1:{port}", *traffic]
    return [str(Path(sysconfig.get_path("scripts")) / "sunsocket"), "run", *flags, *script]


def count(face: str, scheme: str) -> dict[str, Counts]:
    """What each kind of traffic costs on a face, by the workload's name."""
    server = programs.tls_server() if scheme == "wss" else programs.server()
    if server.path is None:
        raise CannotCount(server.reason)
    with serve(server.path, None, tls=scheme == "wss") as running:
        marks = run(command(face, scheme, running.port))
    return {
        workload.name: between(marks[f"{workload.name} begin"], marks[f"{workload.name} end"], messages)
        for workload, messages in of_scheme(scheme)
    }


def run(command: list[str]) -> dict[str, re.Match[str]]:
    """Runs the program to its end; what was counted up to each of its lines "COUNT NAME", by the name."""
    trace, preload = compiled("trace.c", "trace"), compiled("allocations.c", "allocations.so", "-shared", "-fPIC")
    environment = {
        **os.environ,
        "LD_PRELOAD": str(preload),
        # A look before sleeping may find something or not; without it each message is waited for once.
        "SUNSOCKET_SPIN": "0",
        "PYTHONPATH": str(ROOT),
    }
    # What measures coverage in a program would be counted, too.
    environment.pop("COVERAGE_PROCESS_CONFIG", None)
    with tempfile.NamedTemporaryFile("r") as traced:
        command = [str(trace), traced.name, *command]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50)
        if done.returncode == FORBIDDEN:
            raise CannotCount(f"a process may not trace another here ({done.stderr.strip()})")
        if done.returncode:
            raise AssertionError(f"the program failed with {done.returncode}:\n{done.stdout}{done.stderr}")
        lines = map(re.compile(r"COUNT (.+?) (\d+) (\d+) (\d+)((?: \S+=\d+)*)$").match, traced.read().splitlines())
        return {line[1]: line for line in lines if line}


def between(begin: re.Match[str], end: re.Match[str], messages: int) -> Counts:
    before, after = (dict(pair.split("=") for pair in match[5].split()) for match in (begin, end))
    calls = {name: (int(times) - int(before.get(name, 0))) / messages for name, times in after.items()}
    allocations, bytes_, faults = ((int(end[at]) - int(begin[at])) / messages for at in (2, 3, 4))
    return Counts({name: times for name, times in calls.items() if times}, allocations, bytes_ / 1e3, faults)
