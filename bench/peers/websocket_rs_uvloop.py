"""websocket-rs on uvloop: ``handlers`` (its ``on_message`` callback) and ``pull`` (``await recv()``).

Its messages are views of bytes: both styles make each a ``str``, as every other client does.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

from websocket_rs import connect

from bench.peers.loops import send_with_breath
from bench.peers.sample import AsyncRun, AsyncRuns, Job, main_async
from bench.workloads import END, Workload


class Handling:
    """The callback is given to ``connect``, before there is a socket to answer with."""

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

        def opened(ws: Any) -> AsyncRun:
            nonlocal send
            send = ws.send
            return run

        async def run(count: int) -> None:
            nonlocal left
            left = 1 if workload.shape == "send" else count
            if workload.shape == "echo":
                for _ in range(in_flight):
                    send(text)
            elif workload.shape == "flood":
                send(str(count))
            else:
                await send_with_breath(send, text, count)
                send(END)
            await done.wait()
            done.clear()

        self.callback = echo if workload.shape == "echo" else receive
        self.opened = opened


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

    return {"echo": echo, "flood": flood, "send": send_only}[workload.shape]


@asynccontextmanager
async def client(job: Job) -> AsyncRuns:
    if job.style == "handlers":
        handling = Handling(job.workload)
        ws = await connect(job.url, on_message=handling.callback)
        yield handling.opened(ws)
    else:
        ws = await connect(job.url)
        yield pulling(job.workload, ws)
    ws.close()


if __name__ == "__main__":
    main_async(client)
