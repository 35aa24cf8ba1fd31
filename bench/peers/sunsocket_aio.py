"""sunsocket for asyncio, each style on uvloop or on asyncio's own loop.

The styles are ``handlers``, ``pull`` (``await recv()``) and ``many`` (``await recv_many()``).
"""

from __future__ import annotations

import asyncio
import functools
import sys

from bench.peers.loops import pulling_many_task, pulling_task
from bench.peers.sample import AsyncRun, Job, main_async
from bench.programs import CA_FILE
from bench.workloads import END, Workload
from sunsocket import TLS
from sunsocket.aio import WebSocket

STYLE, _, LOOP = sys.argv[1].partition("-")


@functools.cache
def tls() -> TLS:
    return TLS(ca_file=CA_FILE)


async def connect(job: Job, number: int) -> WebSocket:
    compression = "deflate" if job.workload.deflate else None
    return await WebSocket.connect(job.url(number), compression=compression, tls=tls() if job.workload.tls else None)


async def close(ws: WebSocket) -> None:
    await ws.__aexit__(None, None, None)


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
        elif workload.shape == "send":
            await send_only(count)
        await done.wait()
        done.clear()

    return run


def pulling(workload: Workload, ws: WebSocket) -> AsyncRun:
    if workload.shape != "send":
        many = STYLE == "many"
        return pulling_many_task(workload, ws.Send, ws.recv_many) if many else pulling_task(workload, ws.Send, ws.recv)
    send_only = sending(workload, ws)

    async def run(count: int) -> None:
        await send_only(count)
        await ws.recv()

    return run


if __name__ == "__main__":
    main_async(connect, close, handling if STYLE == "handlers" else pulling, loop=LOOP)
