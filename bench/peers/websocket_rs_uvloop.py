"""websocket-rs on uvloop: ``handlers`` (its ``on_message`` callback) and ``pull`` (``await recv()``).

Its messages are views of bytes: both styles make each a ``str``, as every other client does.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

from websocket_rs import connect as connect_rs

from bench.peers.loops import send_with_breath
from bench.peers.sample import AsyncRun, Job, main_async
from bench.workloads import END, Workload

HANDLERS = sys.argv[1] == "handlers"


class Opened:
    """One connection. The callback is given to ``connect``, before there is a socket to answer with."""

    def __init__(self, workload: Workload) -> None:
        text, in_flight = workload.text, workload.in_flight
        done = asyncio.Event()
        left = 0
        send: Any = None

        def echo(message: Any) -> None:
            nonlocal left
            str(message, "utf-8")
            left -= 1
            if left >= in_flight:
                send(text)
            elif not left:
                done.set()

        def receive(message: Any) -> None:
            nonlocal left
            str(message, "utf-8")
            left -= 1
            if not left:
                done.set()

        async def run(count: int) -> None:
            nonlocal left, send
            send = self.ws.send
            left = 1 if workload.shape == "send" else count
            if workload.shape == "echo":
                for _ in range(in_flight):
                    send(text)
            elif workload.shape == "flood":
                send(str(count))
            elif workload.shape == "send":
                await send_with_breath(send, text, count)
                send(END)
            await done.wait()
            done.clear()

        self.ws: Any = None
        self.callback = echo if workload.shape == "echo" else receive
        self.run = run


def pulling(workload: Workload, ws: Any) -> AsyncRun:
    text, in_flight, send, recv = workload.text, workload.in_flight, ws.send, ws.recv

    async def echo(count: int) -> None:
        for _ in range(in_flight):
            send(text)
        for _ in range(count - in_flight):
            str(await recv(), "utf-8")
            send(text)
        for _ in range(in_flight):
            str(await recv(), "utf-8")

    async def flood(count: int) -> None:
        send(str(count))
        for _ in range(count):
            str(await recv(), "utf-8")

    async def send_only(count: int) -> None:
        await send_with_breath(send, text, count)
        send(END)
        await recv()

    async def rest(_count: int) -> None:
        await recv()

    return {"echo": echo, "flood": flood, "send": send_only, "rest": rest}[workload.shape]


async def connect(job: Job, number: int) -> Opened:
    opened = Opened(job.workload)
    opened.ws = await connect_rs(
        job.url(number),
        ssl_context=job.ssl_context,
        compression=job.workload.deflate,
        on_message=opened.callback if HANDLERS else None,
    )
    return opened


async def close(opened: Opened) -> None:
    opened.ws.close()
    with contextlib.suppress(ConnectionError):
        await opened.ws.recv()


def traffic(workload: Workload, opened: Opened) -> AsyncRun:
    return opened.run if HANDLERS else pulling(workload, opened.ws)


if __name__ == "__main__":
    main_async(connect, close, traffic)
