"""A program that is busy for long keeps its connections, and gets every message once and in order afterwards.

The server is in another process, pings four times a second and drops a client whose pong takes more than 2 s. Busy is
3 s, and where C code holds the GIL a minute with ``make stress SECONDS=60``.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Iterator

import pytest
import uvloop

from sunsocket import WebSocket
from sunsocket.aio import WebSocket as AioWebSocket
from tests.stress.process import running

# More than three intervals of the client's own pings, and more than the pong may take.
BUSY = 3.0
LONG = max(float(os.environ.get("SECONDS", "0")), BUSY)
OPTIONS = {"ping_interval": 0.5, "ping_timeout": 1.5}

pytestmark = pytest.mark.timeout(LONG + 60)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running("impatient") as url:
        yield url


def assert_all(got: list[str | bytes], busy: float = BUSY) -> None:
    last = got.pop()
    assert got == [str(number) for number in range(len(got))]
    assert last == f"last:{len(got)}"
    assert len(got) > busy * 2


def test_a_gil_held_by_c_code_loses_no_connection(url):
    ws = WebSocket.connect(url, **OPTIONS)
    # A PyDLL call keeps the GIL: nothing written in Python can run meanwhile, on no thread.
    ctypes.PyDLL(None).usleep(int(LONG * 1e6))
    ws.Send("back")
    got = [ws.recv(10)]
    while not str(got[-1]).startswith("last"):
        got.append(ws.recv(10))
    ws.Close()
    ws.OnClose.Wait(10)
    assert ws.close_code == 1000
    assert_all(got, LONG)


def test_a_gil_held_in_a_handler_loses_no_connection(url):
    got = []
    ws = WebSocket.connect(url, **OPTIONS)

    def handler(message):
        got.append(message)
        if message == "0":
            ctypes.PyDLL(None).usleep(int(BUSY * 1e6))
            ws.Send("back")
        elif message.startswith("last"):
            ws.Close()

    ws.OnMessage.Connect(handler)
    ws.OnClose.Wait(BUSY + 10)
    assert ws.close_code == 1000
    assert_all(got)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_loop_blocked_past_three_ping_intervals_loses_no_connection(url, factory):
    async def main():
        ws = await AioWebSocket.connect(url, **OPTIONS)
        time.sleep(BUSY)
        await ws.Send("back")
        got = [await ws.recv(10)]
        while not got[-1].startswith("last"):
            got.append(await ws.recv(10))
        ws.Close()
        await ws.OnClose.Wait(10)
        assert ws.close_code == 1000
        assert_all(got)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
