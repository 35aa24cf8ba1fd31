"""One sample: what every Python client's process does, whatever the client.

A client's module says how to connect, how to close with the whole closing handshake, and what traffic is; this file
decides how much of it, and takes the times. The counts grow until one takes a quarter of the sample, which is also the
warm-up; the last one is the sample.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from bench.programs import CA_FILE
from bench.workloads import Workload

#: Messages of the first, smallest run.
FIRST = 64
#: Addresses of the server, so that ports do not run out; and how many connections are opened at the same time.
ADDRESSES, AT_ONCE = 4, 32

Run = Callable[[int], None]
AsyncRun = Callable[[int], Awaitable[None]]


class Sample(NamedTuple):
    """So many units took so long, and so much of this process' CPU time (all its threads, user and system)."""

    messages: int
    seconds: float
    cpu: float


def cpu_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def steps(seconds: float, first: int) -> Generator[int, Sample, Sample]:
    """Yields how many units to move and is sent what that took; returns the sample."""
    count = first
    while True:
        sample = yield count
        if sample.seconds >= seconds / 4:
            break
        count *= 2 if sample.seconds > seconds / 16 else 4
    return (yield max(first, round(count * seconds / sample.seconds)))


def measure(run: Run, seconds: float, first: int = FIRST) -> Sample:
    plan = steps(seconds, first)
    count = next(plan)
    while True:
        cpu, start = cpu_time(), time.perf_counter()
        run(count)
        sample = Sample(count, time.perf_counter() - start, cpu_time() - cpu)
        try:
            count = plan.send(sample)
        except StopIteration as end:
            last: Sample = end.value
            return last


async def measure_async(run: AsyncRun, seconds: float, first: int = FIRST) -> Sample:
    plan = steps(seconds, first)
    count = next(plan)
    while True:
        cpu, start = cpu_time(), time.perf_counter()
        await run(count)
        sample = Sample(count, time.perf_counter() - start, cpu_time() - cpu)
        try:
            count = plan.send(sample)
        except StopIteration as end:
            last: Sample = end.value
            return last


def resident(pid: int | str = "self") -> int:
    """Resident memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


class Rest(NamedTuple):
    """What a process has used so far: CPU time in seconds, and how often one of its threads was given the core."""

    cpu: float
    wakeups: int

    @classmethod
    def now(cls, pid: int) -> Rest:
        count = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            lines = (task / "status").read_text().splitlines()
            count += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
        # The number that clock_getcpuclockid gives for a process on Linux.
        return cls(time.clock_gettime(~pid << 3 | 2), count)

    @classmethod
    def watch(cls, pid: int, seconds: float) -> dict[str, float]:
        """What the process uses in so many seconds, as figures of a sample."""
        time.sleep(0.3)  # what connecting has begun comes to its end
        before = cls.now(pid)
        time.sleep(seconds)
        after = cls.now(pid)
        # One of them is this thread's own, where the process is this one.
        wakeups = after.wakeups - before.wakeups - (pid == os.getpid())
        return {"cpu ms/s": (after.cpu - before.cpu) / seconds * 1e3, "wake-ups/s": wakeups / seconds}


@dataclass
class Job:
    """The arguments of a client's process: ``STYLE WORKLOAD PORT SECONDS``."""

    style: str
    workload: Workload
    port: int
    seconds: float

    def url(self, number: int = 0) -> str:
        """For the connection of that number."""
        scheme = "wss" if self.workload.tls else "ws"
        return f"{scheme}://127.0.0.{1 + number % ADDRESSES}:{self.port}{self.workload.path}"

    @cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        """For the clients that take one; made once."""
        return ssl.create_default_context(cafile=CA_FILE) if self.workload.tls else None

    @classmethod
    def from_arguments(cls) -> Job:
        style, workload, port, seconds = sys.argv[1:]
        return cls(style, Workload.from_json(workload), int(port), float(seconds))


def report(result: Sample | dict[str, float]) -> None:
    print(json.dumps(result._asdict() if isinstance(result, Sample) else result), flush=True)


def allow_descriptors() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def rest_and_exit(seconds: float) -> None:
    """Watches this process from a thread of its own while the main thread waits as a program does; ends it then."""

    def watch() -> NoReturn:
        report(Rest.watch(os.getpid(), seconds))
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


class Traffic(NamedTuple):
    """A run in two parts, so that many connections can be busy at once: ``start(count)`` and then ``finish()``."""

    start: Run
    finish: Callable[[], None]


def main(
    connect: Callable[[Job, int], Any], close: Callable[[Any], None], traffic: Callable[[Workload, Any], Traffic]
) -> None:
    """The process of a client for threads."""
    job = Job.from_arguments()
    workload, count = job.workload, job.workload.connections
    allow_descriptors()

    def connect_and_close(count: int) -> None:
        for number in range(count):
            close(connect(job, number))

    if workload.shape == "connect":
        report(measure(connect_and_close, job.seconds))
        return
    if workload.shape == "idle":
        sockets = [connect(job, 0)]
        before = resident()
        sockets += [connect(job, number) for number in range(count)]
        time.sleep(1)
        report({"bytes": (resident() - before) / count})
        os._exit(0)
    sockets = [connect(job, number) for number in range(count)]
    traffics = [traffic(workload, ws) for ws in sockets]
    if workload.shape == "rest":
        rest_and_exit(max(1.0, job.seconds))
        traffics[0].finish()
        return

    def run(total: int) -> None:
        for each in traffics:
            each.start(total // count)
        for each in traffics:
            each.finish()

    report(measure(run, job.seconds, max(FIRST, 4 * count if count > 1 else 0)))
    for ws in sockets:
        close(ws)


def main_async(
    connect: Callable[[Job, int], Awaitable[Any]],
    close: Callable[[Any], Awaitable[None]],
    traffic: Callable[[Workload, Any], AsyncRun],
    loop: str = "uvloop",
) -> None:
    """The process of a client for asyncio, on uvloop or asyncio's own loop."""
    job = Job.from_arguments()
    workload, count = job.workload, job.workload.connections
    allow_descriptors()

    async def open_all(count: int) -> list[Any]:
        sockets: list[Any] = []
        for at in range(0, count, AT_ONCE):
            numbers = range(at, min(count, at + AT_ONCE))
            sockets += await asyncio.gather(*(connect(job, number) for number in numbers))
        return sockets

    async def connect_and_close(count: int) -> None:
        async def some(count: int) -> None:
            for number in range(count):
                await close(await connect(job, number))

        await asyncio.gather(*(some(count // workload.in_flight) for _ in range(workload.in_flight)))

    async def sample() -> None:
        if workload.shape == "connect":
            report(await measure_async(connect_and_close, job.seconds, FIRST))
            return
        if workload.shape == "idle":
            sockets = await open_all(1)
            before = resident()
            sockets += await open_all(count)
            await asyncio.sleep(1)
            report({"bytes": (resident() - before) / count})
            os._exit(0)
        sockets = await open_all(count)
        runs = [traffic(workload, ws) for ws in sockets]
        if workload.shape == "rest":
            rest_and_exit(max(1.0, job.seconds))
            await runs[0](1)

        async def run(total: int) -> None:
            await asyncio.gather(*(each(total // count) for each in runs))

        run_one = runs[0] if count == 1 else run
        report(await measure_async(run_one, job.seconds, max(FIRST, 4 * count if count > 1 else 0)))
        await asyncio.gather(*(close(ws) for ws in sockets))

    if loop == "uvloop":
        import uvloop

        uvloop.run(sample())
    else:
        asyncio.run(sample())
