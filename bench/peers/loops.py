"""The loops that clients share, so that every client of one kind runs the same Python code per message.

Four kinds: a thread that pulls, a task that pulls (with a ``send`` that is awaited or not), and a handler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bench.peers.sample import AsyncRun, Traffic
from bench.workloads import END, Workload

#: A task that sends without awaiting lets its loop write after so many bytes.
BREATH = 16 << 10


def pulling(workload: Workload, send: Callable[[str], object], recv: Callable[[], object]) -> Traffic:
    """Traffic of a thread that calls ``recv``."""
    text, in_flight = workload.text, workload.in_flight
    asked = 0

    def echo() -> None:
        for _ in range(in_flight):
            send(text)
        for _ in range(asked - in_flight):
            recv()
            send(text)
        for _ in range(in_flight):
            recv()

    def flood() -> None:
        send(str(asked))
        for _ in range(asked):
            recv()

    def send_only() -> None:
        for _ in range(asked):
            send(text)
        send(END)
        recv()

    def rest() -> None:
        recv()

    def start(count: int) -> None:
        nonlocal asked
        asked = count

    return Traffic(start, {"echo": echo, "flood": flood, "send": send_only, "rest": rest}[workload.shape])


def pulling_many(workload: Workload, send: Callable[[str], object], recv_many: Callable[[], list[object]]) -> Traffic:
    """Traffic of a thread that calls ``recv_many``."""
    text, in_flight = workload.text, workload.in_flight
    asked = 0

    def echo() -> None:
        for _ in range(in_flight):
            send(text)
        left, sent = asked, in_flight
        while left:
            got = len(recv_many())
            left -= got
            for _ in range(min(got, asked - sent)):
                send(text)
            sent += got

    def flood() -> None:
        send(str(asked))
        left = asked
        while left:
            left -= len(recv_many())

    def send_only() -> None:
        for _ in range(asked):
            send(text)
        send(END)
        recv_many()

    def rest() -> None:
        recv_many()

    def start(count: int) -> None:
        nonlocal asked
        asked = count

    return Traffic(start, {"echo": echo, "flood": flood, "send": send_only, "rest": rest}[workload.shape])


def pulling_many_task(
    workload: Workload, send: Callable[[str], object], recv_many: Callable[[], Awaitable[list[object]]]
) -> AsyncRun:
    """Runs for a task that awaits ``recv_many``; ``send`` returns at once."""
    text, in_flight = workload.text, workload.in_flight

    async def echo(count: int) -> None:
        for _ in range(in_flight):
            send(text)
        left, sent = count, in_flight
        while left:
            got = len(await recv_many())
            left -= got
            for _ in range(min(got, count - sent)):
                send(text)
            sent += got

    async def flood(count: int) -> None:
        send(str(count))
        left = count
        while left:
            left -= len(await recv_many())

    async def rest(_count: int) -> None:
        await recv_many()

    return {"echo": echo, "flood": flood, "rest": rest}[workload.shape]


def pulling_task(workload: Workload, send: Callable[[str], object], recv: Callable[[], Awaitable[object]]) -> AsyncRun:
    """Runs for a task that awaits ``recv``; ``send`` returns at once."""
    text, in_flight = workload.text, workload.in_flight

    async def echo(count: int) -> None:
        for _ in range(in_flight):
            send(text)
        for _ in range(count - in_flight):
            await recv()
            send(text)
        for _ in range(in_flight):
            await recv()

    async def flood(count: int) -> None:
        send(str(count))
        for _ in range(count):
            await recv()

    async def send_only(count: int) -> None:
        await send_with_breath(send, text, count)
        send(END)
        await recv()

    async def rest(_count: int) -> None:
        await recv()

    return {"echo": echo, "flood": flood, "send": send_only, "rest": rest}[workload.shape]


def awaiting_task(
    workload: Workload, send: Callable[[str], Awaitable[object]], recv: Callable[[], Awaitable[object]]
) -> AsyncRun:
    """Runs for a task that awaits both."""
    text, in_flight = workload.text, workload.in_flight

    async def echo(count: int) -> None:
        for _ in range(in_flight):
            await send(text)
        for _ in range(count - in_flight):
            await recv()
            await send(text)
        for _ in range(in_flight):
            await recv()

    async def flood(count: int) -> None:
        await send(str(count))
        for _ in range(count):
            await recv()

    async def send_only(count: int) -> None:
        for _ in range(count):
            await send(text)
        await send(END)
        await recv()

    async def rest(_count: int) -> None:
        await recv()

    return {"echo": echo, "flood": flood, "send": send_only, "rest": rest}[workload.shape]


async def send_with_breath(send: Callable[[str], object], text: str, count: int) -> None:
    """Sends from a task whose client has no back-pressure to await."""
    breath = max(1, BREATH // len(text))
    for at in range(0, count, breath):
        for _ in range(min(breath, count - at)):
            send(text)
        await asyncio.sleep(0)
