"""A socket of a loop, used from the other threads of the program."""

from __future__ import annotations

import asyncio
import threading

from sunsocket import State
from sunsocket.aio import WebSocket
from tests.aio.conftest import until


def test_send_from_other_threads(loop, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            got = []
            ws.OnMessage.Connect(got.append)

            def work(name):
                for number in range(500):
                    ws.Send(f"{name} {number}")

            await asyncio.gather(*(asyncio.to_thread(work, name) for name in "abcd"))
            await until(lambda: len(got) == 2000)
            for name in "abcd":
                mine = [message for message in got if message.startswith(name)]
                assert mine == [f"{name} {number}" for number in range(500)]

    loop.run(test)


def test_close_from_another_thread_wakes_the_loop(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url)
        thread = threading.Thread(target=lambda: ws.Close(4000, "thread"))
        thread.start()
        await ws.OnClose.Wait(5)
        assert (ws.close_code, ws.close_reason) == (4000, "thread")
        thread.join()

    loop.run(test)


def test_abort_from_another_thread_wakes_the_loop(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url)
        thread = threading.Thread(target=ws.abort)
        thread.start()
        await ws.OnClose.Wait(5)
        assert ws.state is State.CLOSED
        thread.join()

    loop.run(test)


def test_handlers_connected_from_another_thread_run_in_the_loop(loop, echo):
    async def test():
        ran = []
        async with WebSocket.connect(echo.url) as ws:
            # Held, until a listener comes.
            ws.Send("held")
            while ws.latency is None:
                await ws.ping(timeout=5)
            connection = await asyncio.to_thread(
                ws.OnMessage.Connect, lambda message: ran.append((message, threading.get_ident()))
            )
            await until(lambda: bool(ran))
            await asyncio.to_thread(connection.Disconnect)
            assert not connection.Connected
        assert ran == [("held", threading.get_ident())]

    loop.run(test)


def test_properties_and_signals_are_read_from_other_threads(loop, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:

            def read():
                return ws.url, ws.state, ws.remote_address, ws.OnMessage, repr(ws), ws.close_code

            assert await asyncio.to_thread(read) == read()

    loop.run(test)
