"""Connecting on asyncio: by await and by async with, and given up at any moment."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from sunsocket import ConnectError, ConnectTimeout, InvalidURL, State
from sunsocket.aio import WebSocket
from tests.aio.conftest import until


def test_by_await(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url)
        assert type(ws) is WebSocket
        assert ws.state is State.OPEN
        ws.Close()
        await ws.OnClose.Wait(5)

    loop.run(test)


def test_by_async_with(loop, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            ws.Send("Hello")
            assert await ws.recv(5) == "Hello"
        assert (ws.state, ws.close_code) == (State.CLOSED, 1000)

    loop.run(test)


def test_one_connect_object_may_be_awaited_again(loop, echo):
    async def test():
        connecting = WebSocket.connect(echo.url)
        first, second = await connecting, await connecting
        assert first is not second
        for ws in (first, second):
            ws.Send("x")
            assert await ws.recv(5) == "x"
            ws.Close()

    loop.run(test)


def test_a_connect_that_nobody_awaits_does_nothing(loop, listener):
    async def test():
        with pytest.warns(RuntimeWarning, match="never awaited"):
            WebSocket.connect(listener.url)
        await asyncio.sleep(0)
        gc.collect()
        assert not listener.was_tried()

    loop.run(test)


def test_options_are_checked_when_it_is_called(listener):
    with pytest.raises(InvalidURL):
        WebSocket.connect("nowhere")
    with pytest.raises(ValueError, match="Host"):
        # Headers are the engine's to check: when it is awaited, but before anything is sent.
        asyncio.run(_connect(listener.url, headers={"Host": "x"}))
    assert not listener.was_tried()


async def _connect(url, **options):
    return await WebSocket.connect(url, **options)


def test_there_is_no_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        WebSocket.connect("ws://127.0.0.1:1/").__await__().send(None)


def test_it_is_taken_by_gather_wait_for_and_create_task(loop, echo):
    async def test():
        sockets = await asyncio.gather(*(WebSocket.connect(echo.url) for _ in range(20)))
        sockets.append(await asyncio.wait_for(WebSocket.connect(echo.url), 5))
        sockets.append(await asyncio.create_task(_connect(echo.url)))
        for number, ws in enumerate(sockets):
            ws.Send(str(number))
        assert [await ws.recv(5) for ws in sockets] == [str(number) for number in range(22)]
        for ws in sockets:
            ws.Close()
            await ws.OnClose.Wait(5)

    loop.run(test)


def test_the_loop_runs_on_while_it_connects(loop, raw_server):
    go = threading.Event()

    def script(peer):
        go.wait(10)
        peer.accept()
        peer.finish()

    async def test():
        connecting = asyncio.create_task(_connect(raw_server(script).url))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not connecting.done()
        go.set()
        (await connecting).Close()

    loop.run(test)


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5, 20])
def test_cancelled_at_any_moment_it_gives_up_and_drops_tcp(loop, raw_server, rounds):
    ended = []

    def script(peer):
        try:
            peer.accept()
        finally:
            peer.wait_for_end()
            ended.append(True)

    async def test():
        server = raw_server(script)
        task = asyncio.create_task(_connect(server.url))
        for _ in range(rounds):
            await asyncio.sleep(0.0005)
        task.cancel()
        try:
            ws = await task
        except asyncio.CancelledError:
            pass
        else:
            # It was open already.
            ws.abort()
        del task
        await until(lambda: len(ended) == len(server.threads))

    loop.run(test)


def test_a_timeout_of_asyncio_gives_it_up(loop, raw_server):
    ended = threading.Event()

    def script(peer):
        peer.wait_for_end()
        ended.set()

    async def test():
        server = raw_server(script)
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.1):
                await WebSocket.connect(server.url)
        assert not isinstance(raised.value, ConnectTimeout)
        await until(ended.is_set)

    loop.run(test)


def test_the_body_of_async_with_cancelled(loop, echo):
    async def test():
        sockets = []

        async def work():
            async with WebSocket.connect(echo.url) as ws:
                sockets.append(ws)
                await ws.recv()

        task = asyncio.create_task(work())
        await until(lambda: bool(sockets))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sockets[0].state is State.CLOSED

    loop.run(test)


def test_a_failure_leaves_nothing_behind(loop):
    async def test():
        for _ in range(50):
            with pytest.raises(ConnectError):
                await WebSocket.connect("ws://127.0.0.1:1/")
        # Whatever else there is, the loop's own reports are empty.

    reports = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        await test()
        gc.collect()
        await asyncio.sleep(0)

    loop.run(watched)
    assert reports == []
