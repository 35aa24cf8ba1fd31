"""sunsocket for asyncio: ``handlers`` and ``pull`` (``await recv()``), each on uvloop or on asyncio's own loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from bench.peers.loops import pulling_task
from bench.peers.sample import AsyncRun, AsyncRuns, Job, main_async
from bench.workloads import END, Workload
from sunsocket.aio import WebSocket


def sending(workload: Workload, ws: WebSocket) -> AsyncRun:
    """``await Send`` waits only above the high-water mark."""
    send, text = ws.Send, workload.text

    async def send_only(count: int) -> None:
        for _ in range(count):
            await send(text)
        send(END)

    return send_only


def handling(workload: Workload, ws: WebSocket) -> AsyncRun:
    send, text, in_flight = ws.Send, workload.text, workload.in_flight
    send_only = sending(workload, ws)
    done = asyncio.Event()
    left = 0

    def echo(_message: object) -> None:
        nonlocal left
        left -= 1
        if left >= in_flight:
            send(text)
        elif not left:
            done.set()

    def receive(_message: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    ws.OnMessage.Connect(echo if workload.shape == "echo" else receive)

    async def run(count: int) -> None:
        nonlocal left
        left = 1 if workload.shape == "send" else count
        if workload.shape == "echo":
            for _ in range(in_flight):
                send(text)
        elif workload.shape == "flood":
            send(str(count))
        else:
            await send_only(count)
        await done.wait()
        done.clear()

    return run


def pulling(workload: Workload, ws: WebSocket) -> AsyncRun:
    if workload.shape != "send":
        return pulling_task(workload, ws.Send, ws.recv)
    send_only = sending(workload, ws)

    async def run(count: int) -> None:
        await send_only(count)
        await ws.recv()

    return run


@asynccontextmanager
async def client(job: Job) -> AsyncRuns:
    async with WebSocket.connect(job.url) as ws:
        yield (handling if job.style.startswith("handlers") else pulling)(job.workload, ws)


if __name__ == "__main__":
    main_async(client, loop=Job.from_arguments().style.partition("-")[2])
