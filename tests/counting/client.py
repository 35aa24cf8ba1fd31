"""The program that is counted: ``python -m tests.counting.client STYLE PORT ws|wss`` moves messages, as the benchmark's
clients of sunsocket do, and writes a line before and after each kind of traffic.

``STYLE`` is ``handlers`` or ``pull`` for threads, ``handlers-asyncio`` or ``pull-asyncio`` for asyncio.
"""

from __future__ import annotations

import asyncio
import os
import sys

from bench.peers import sunsocket_aio, sunsocket_threads
from bench.peers.sample import Job

from tests.counting.traffic import of_scheme


def mark(name: str, when: str) -> None:
    os.write(1, f"COUNT {name} {when}\n".encode())


def jobs() -> list[tuple[Job, int]]:
    style, port, scheme = sys.argv[1:]
    return [(Job(style, workload, int(port), 0), count) for workload, count in of_scheme(scheme)]


def in_threads() -> None:
    for job, count in jobs():
        ws = sunsocket_threads.connect(job, 0)
        traffic = sunsocket_threads.traffic(job.workload, ws)
        # The first time is for what is made once.
        for when in ("warm", "begin", "end"):
            mark(job.workload.name, when)
            if when != "end":
                traffic.start(count)
                traffic.finish()
        sunsocket_threads.close(ws)


async def in_loop() -> None:
    traffic = sunsocket_aio.handling if sys.argv[1].startswith("handlers") else sunsocket_aio.pulling
    for job, count in jobs():
        ws = await sunsocket_aio.connect(job, 0)
        run = traffic(job.workload, ws)
        for when in ("warm", "begin", "end"):
            mark(job.workload.name, when)
            if when != "end":
                await run(count)
        await sunsocket_aio.close(ws)


if __name__ == "__main__":
    if "-" in sys.argv[1]:
        asyncio.run(in_loop())
    else:
        in_threads()
