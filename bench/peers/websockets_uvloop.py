"""websockets' asyncio client on uvloop."""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_asyncio

from bench.peers.loops import awaiting_task
from bench.peers.sample import AsyncRun, Job, main_async
from bench.workloads import Workload


async def connect(job: Job, number: int) -> ClientConnection:
    compression = "deflate" if job.workload.deflate else None
    url = job.url(number)
    return await connect_asyncio(url, compression=compression, proxy=None, max_size=None, ssl=job.ssl_context)


async def close(ws: ClientConnection) -> None:
    await ws.close()


def traffic(workload: Workload, ws: ClientConnection) -> AsyncRun:
    return awaiting_task(workload, ws.send, ws.recv)


if __name__ == "__main__":
    main_async(connect, close, traffic)
