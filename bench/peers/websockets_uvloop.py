"""websockets' asyncio client on uvloop, without compression."""

from __future__ import annotations

from contextlib import asynccontextmanager

from websockets.asyncio.client import connect

from bench.peers.loops import awaiting_task
from bench.peers.sample import AsyncRuns, Job, main_async


@asynccontextmanager
async def client(job: Job) -> AsyncRuns:
    async with connect(job.url, compression=None, proxy=None) as ws:
        yield awaiting_task(job.workload, ws.send, ws.recv)


if __name__ == "__main__":
    main_async(client)
