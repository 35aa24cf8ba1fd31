"""One sample: what every client's process does, whatever the client.

A client's module has ``run(count)``, which moves ``count`` messages; this file decides how many, and takes the times.
The counts grow until one takes a quarter of the sample, which is also the warm-up; the last one is the sample.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import NamedTuple

from bench.workloads import WORKLOADS, Workload

#: Messages of the first, smallest run.
FIRST = 64

Run = Callable[[int], None]
AsyncRun = Callable[[int], Awaitable[None]]


class Sample(NamedTuple):
    """So many messages took so long, and so much of this process' CPU time (all its threads, user and system)."""

    messages: int
    seconds: float
    cpu: float


def cpu_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def steps(seconds: float) -> Generator[int, Sample, Sample]:
    """Yields how many messages to move and is sent what that took; returns the sample."""
    count = FIRST
    while True:
        sample = yield count
        if sample.seconds >= seconds / 4:
            break
        count *= 2 if sample.seconds > seconds / 16 else 4
    return (yield max(FIRST, round(count * seconds / sample.seconds)))


def measure(run: Run, seconds: float) -> Sample:
    plan = steps(seconds)
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


async def measure_async(run: AsyncRun, seconds: float) -> Sample:
    plan = steps(seconds)
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


class Job(NamedTuple):
    """The arguments of a client's process: ``STYLE WORKLOAD PORT SECONDS``."""

    style: str
    workload: Workload
    port: int
    seconds: float

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{self.workload.path}"

    @classmethod
    def from_arguments(cls) -> Job:
        style, name, port, seconds = sys.argv[1:]
        workload = next(workload for workload in WORKLOADS if workload.name == name)
        return cls(style, workload, int(port), float(seconds))


def report(sample: Sample) -> None:
    print(json.dumps(sample._asdict()), flush=True)


def main(client: Callable[[Job], AbstractContextManager[Run]]) -> None:
    """The process of a client for threads: ``client`` connects and gives ``run``."""
    job = Job.from_arguments()
    with client(job) as run:
        report(measure(run, job.seconds))


def main_async(client: Callable[[Job], AbstractAsyncContextManager[AsyncRun]], loop: str = "uvloop") -> None:
    """The process of a client for asyncio, on uvloop or asyncio's own loop."""
    job = Job.from_arguments()

    async def sample() -> None:
        async with client(job) as run:
            report(await measure_async(run, job.seconds))

    if loop == "uvloop":
        import uvloop

        uvloop.run(sample())
    else:
        asyncio.run(sample())


# For the clients' modules: what they return.
Runs = Iterator[Run]
AsyncRuns = AsyncIterator[AsyncRun]
