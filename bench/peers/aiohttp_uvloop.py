"""aiohttp's client on uvloop; one session for all connections, as its manual says."""

from __future__ import annotations

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector

from bench.peers.loops import awaiting_task
from bench.peers.sample import AsyncRun, Job, main_async
from bench.workloads import Workload

sessions: list[ClientSession] = []


async def connect(job: Job, number: int) -> ClientWebSocketResponse:
    if not sessions:
        sessions.append(ClientSession(connector=TCPConnector(limit=0, ssl=job.ssl_context or True)))
    return await sessions[0].ws_connect(job.url(number), compress=15 if job.workload.deflate else 0)


async def close(ws: ClientWebSocketResponse) -> None:
    await ws.close()


def traffic(workload: Workload, ws: ClientWebSocketResponse) -> AsyncRun:
    return awaiting_task(workload, ws.send_str, ws.receive_str)


if __name__ == "__main__":
    main_async(connect, close, traffic)
