"""aiohttp's client on uvloop, without compression."""

from __future__ import annotations

from contextlib import asynccontextmanager

from aiohttp import ClientSession

from bench.peers.loops import awaiting_task
from bench.peers.sample import AsyncRuns, Job, main_async


@asynccontextmanager
async def client(job: Job) -> AsyncRuns:
    async with ClientSession() as session, session.ws_connect(job.url, compress=0) as ws:
        yield awaiting_task(job.workload, ws.send_str, ws.receive_str)


if __name__ == "__main__":
    main_async(client)
