"""The class on asyncio: Send that may be awaited, async for, and waits that are cancelled."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading

import pytest

from sunsocket import ConnectionClosed, State
from sunsocket.aio import WebSocket
from tests.aio.conftest import until
from tests.servers.raw import TEXT


def test_what_send_returns_may_be_awaited_or_not(loop, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            ws.Send("a")
            result = ws.Send("b")
            assert inspect.isawaitable(result)
            assert await result is None
            assert await ws.Send("c") is None
            assert [await ws.recv(5) for _ in range(3)] == ["a", "b", "c"]

    loop.run(test)


def test_an_awaited_send_waits_for_room(loop, raw_server):
    read = threading.Event()
    got = []

    def script(peer):
        peer.accept()
        read.wait(20)
        while len(got) < 40:
            got.append(len(peer.recv().payload))
        peer.finish()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url, write_limit=(100_000, 10_000))
        waiting = None
        sent = 0
        while waiting is None:
            task = asyncio.ensure_future(_await(ws.Send(b"x" * 1_000_000)))
            sent += 1
            await asyncio.wait([task], timeout=0.05)
            waiting = None if task.done() else task
        assert sent < 40, "the mark was never reached"
        read.set()
        await asyncio.wait_for(waiting, 10)
        for _ in range(40 - sent):
            await ws.Send(b"x" * 1_000_000)
        await until(lambda: len(got) == 40)
        ws.Close()
        await ws.OnClose.Wait(5)

    loop.run(test)


async def _await(awaitable):
    return await awaitable


async def _flood(ws):
    while True:
        await ws.Send(b"x" * 1_000_000)


def test_a_cancelled_wait_for_room_leaves_the_socket_usable(loop, raw_server):
    read = threading.Event()
    got = []

    def script(peer):
        peer.accept()
        read.wait(20)
        while (received := peer.recv()).opcode == 2:
            got.append(len(received.payload))
        peer.send(TEXT, received.payload)
        peer.finish()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url, write_limit=(100_000, 10_000))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_flood(ws), 0.5)
        read.set()
        await ws.Send("end")
        assert await ws.recv(10) == "end"
        assert set(got) == {1_000_000}
        ws.Close()

    loop.run(test)


def test_a_wait_for_room_ends_with_the_connection(loop, raw_server):
    drop = threading.Event()

    def script(peer):
        peer.accept()
        drop.wait(20)

    async def test():
        ws = await WebSocket.connect(raw_server(script).url, write_limit=(100_000, 10_000))
        asyncio.get_running_loop().call_later(0.2, drop.set)
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(_flood(ws), 10)
        assert ws.state is State.CLOSED

    loop.run(test)


def test_async_for_takes_every_message(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url + "count/1000")
        got = []
        async for message in ws:
            got.append(message)
            if len(got) == 1000:
                break
        assert got == [str(number) for number in range(1000)]
        # Another loop goes on where the first one stopped.
        ws.Close()
        assert [message async for message in ws] == []

    loop.run(test)


@pytest.mark.parametrize("name", ["recv", "OnMessage.Wait", "OnClose.Wait", "ping", "__aexit__"])
@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_cancelling_an_await_leaves_the_connection_usable(loop, raw_server, name, rounds):
    def script(peer):
        peer.accept()
        if name == "__aexit__":
            peer.recv_close()
            # The client goes on without an answer.
            peer.wait_for_end()
            return
        if name == "ping":
            peer.recv()
        received = peer.recv()
        peer.send(received.opcode, received.payload)
        peer.finish()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url, close_timeout=0.3)
        start = {
            "recv": ws.recv,
            "OnMessage.Wait": ws.OnMessage.Wait,
            "OnClose.Wait": ws.OnClose.Wait,
            "ping": ws.ping,
            "__aexit__": lambda: ws.__aexit__(None, None, None),
        }[name]
        task = asyncio.create_task(start())
        await asyncio.sleep(0.001)
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if name != "__aexit__":
            ws.Send("next")
            assert await ws.recv(5) == "next"
            ws.Close()
        await ws.OnClose.Wait(5)

    loop.run(test)


@pytest.mark.parametrize("name", ["recv", "Wait"])
@pytest.mark.parametrize("offset", range(4))
def test_a_message_is_never_lost_to_a_cancelled_task(loop, echo, name, offset):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            start = ws.recv if name == "recv" else ws.OnMessage.Wait
            got = []
            for number in range(40):
                ws.Send(str(number))
            while len(got) < 40:
                tasks = [asyncio.create_task(start()) for _ in range(1 if name == "recv" else 2)]
                for _ in range((len(got) + offset) % 5):
                    await asyncio.sleep(0.0002)
                for task in tasks:
                    task.cancel()
                done = {task.result() for task in tasks if not await _was_cancelled(task)}
                assert len(done) <= 1, "everybody who waits gets the same message"
                got.extend(done)
                if not done:
                    got.append(await ws.recv(5))
            assert got == [str(number) for number in range(40)]

    loop.run(test)


async def _was_cancelled(task):
    await asyncio.wait([task])
    return task.cancelled()


def test_asyncio_timeout_and_the_own_timeout(loop, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            for start in (ws.recv, ws.OnMessage.Wait, ws.OnClose.Wait):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await start()
                with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
                    await start(0.01)
                # The outer one ends first: it is not mistaken for the inner.
                with pytest.raises(TimeoutError) as raised:
                    async with asyncio.timeout(0.01):
                        await start(10)
                assert "within" not in str(raised.value)
            ws.Send("x")
            assert await ws.recv(5) == "x"

    loop.run(test)


def test_receivers_are_served_in_turn_and_every_wait_gets_the_same(loop, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            receivers = [asyncio.create_task(ws.recv()) for _ in range(5)]
            await asyncio.sleep(0)
            for number in range(5):
                ws.Send(str(number))
            assert await asyncio.gather(*receivers) == ["0", "1", "2", "3", "4"]
            waiters = [asyncio.create_task(ws.OnMessage.Wait()) for _ in range(5)]
            await asyncio.sleep(0)
            ws.Send("same")
            assert await asyncio.gather(*waiters) == ["same"] * 5

    loop.run(test)


def test_a_ping_that_timed_out_leaves_nothing_behind(loop, raw_server):
    def script(peer):
        peer.accept()
        peer.recv_close()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url, close_timeout=0.1)
        waiting = []
        for _ in range(50):
            with pytest.raises(TimeoutError):
                await ws.ping(timeout=0)
            gc.collect()
            waiting.append(sum(isinstance(each, asyncio.Future) for each in gc.get_objects()))
        assert max(waiting) - waiting[0] < 20, waiting
        ws.abort()

    loop.run(test)
