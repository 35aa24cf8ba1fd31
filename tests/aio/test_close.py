"""``await ws.close()``: waits for the closing handshake. Not awaited it only starts it."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest

from sunsocket import State
from sunsocket.aio import WebSocket
from tests.servers.raw import CLOSE, TEXT, close_payload


def test_an_awaited_close_waits_for_the_closing_handshake(loop, echo):
    async def test():
        for close in (WebSocket.close, WebSocket.Close):
            ws = await WebSocket.connect(echo.url)
            assert await close(ws, 4000, "done") is None
            assert (ws.state, ws.close_code, ws.close_reason) == (State.CLOSED, 4000, "done")
            # Once more, when it is closed already.
            assert await close(ws) is None

    loop.run(test)


def test_a_close_that_is_not_awaited_starts_it_and_warns_of_nothing(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url)
        result = ws.close()
        assert ws.state is State.CLOSING
        del result
        gc.collect()
        ws.close()
        await ws.OnClose.Wait(5)
        assert ws.close_code == 1000

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop.run(test)
    assert [str(each.message) for each in caught] == []


@pytest.mark.parametrize("start", [asyncio.create_task, asyncio.ensure_future, asyncio.gather, asyncio.wait_for])
def test_a_close_is_awaited_in_every_way(loop, echo, start):
    async def test():
        ws = await WebSocket.connect(echo.url)
        await (start(ws.close(), 5) if start is asyncio.wait_for else start(ws.close()))
        assert ws.state is State.CLOSED

    loop.run(test)


def test_a_cancelled_close_goes_on_by_itself(loop, raw_server):
    codes = []

    def script(peer):
        peer.accept()
        codes.append(peer.recv_close().code)
        peer.send(CLOSE, close_payload(1000))
        peer.wait_for_end()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url)
        task = asyncio.create_task(ws.close())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ws.wait_closed(5)
        assert codes == [1000]

    loop.run(test)


def test_a_close_that_cannot_be_sent_is_refused_before_it_is_awaited(loop, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            with pytest.raises(ValueError, match="cannot close with code 1005"):
                ws.close(1005)
            assert ws.state is State.OPEN

    loop.run(test)


def test_a_close_may_be_awaited_again_but_its_task_is_one(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url)
        closing = ws.close()
        await closing
        await closing
        await asyncio.create_task(closing)
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await asyncio.create_task(closing)

    loop.run(test)


def test_a_handler_that_returns_a_close_starts_no_task(loop, raw_server):
    def script(peer):
        peer.accept()
        peer.send(TEXT, b"x")
        peer.recv_close()
        peer.send(CLOSE, close_payload(1000))
        peer.wait_for_end()

    async def test():
        ws = await WebSocket.connect(raw_server(script).url)
        tasks = set()

        def handler(message):
            result = ws.close()
            asyncio.get_running_loop().call_soon(lambda: tasks.update(asyncio.all_tasks()))
            return result

        before = asyncio.all_tasks()
        ws.OnMessage.Connect(handler)
        await ws.wait_closed(5)
        assert tasks <= before

    loop.run(test)


def test_a_coroutine_handler_may_wait_for_the_end(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url)
        done = []

        @ws.OnMessage.Connect
        async def handler(message):
            await ws.close(4001)
            done.append((message, ws.close_code))

        ws.Send("x")
        await ws.wait_closed(5)
        for _ in range(10):
            await asyncio.sleep(0)
        assert done == [("x", 4001)]

    loop.run(test)


def test_a_close_in_a_finally_while_the_loop_ends(loop, echo):
    codes = []

    async def work():
        ws = await WebSocket.connect(echo.url)
        try:
            await ws.recv()
        finally:
            await ws.close(4002)
            codes.append(ws.close_code)

    async def test():
        task = asyncio.create_task(work())
        await asyncio.sleep(0.2)
        assert not task.done()

    with asyncio.Runner(loop_factory=loop.factory) as runner:
        runner.run(test())
    assert codes == [4002]


@pytest.mark.parametrize("how", ["create_task", "TaskGroup", "gather", "wait_for", "run"])
def test_connect_is_a_coroutine_for_whoever_wants_one(loop, echo, how):
    async def test():
        connecting = WebSocket.connect(echo.url)
        assert asyncio.iscoroutine(connecting)
        if how == "create_task":
            ws = await asyncio.create_task(connecting)
        elif how == "TaskGroup":
            async with asyncio.TaskGroup() as group:
                task = group.create_task(connecting)
            ws = task.result()
        elif how == "gather":
            (ws,) = await asyncio.gather(connecting)
        elif how == "wait_for":
            ws = await asyncio.wait_for(connecting, 10)
        else:
            connecting.close()
            return
        assert ws.state is State.OPEN
        await ws.close()

    loop.run(test)
    if how == "run":
        with asyncio.Runner(loop_factory=loop.factory) as runner:
            runner.run(WebSocket.connect(echo.url)).close()


def test_a_task_that_connects_and_is_cancelled_before_it_began(loop, listener):
    async def test():
        task = asyncio.create_task(WebSocket.connect(listener.url))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not listener.was_tried()

    loop.run(test)


@pytest.mark.parametrize("thrown", [(ValueError("x"),), (ValueError, "x"), (ValueError, ValueError("x"), None)])
def test_what_is_thrown_into_a_connect_comes_out_of_it(listener, thrown):
    connecting = WebSocket.connect(listener.url)
    with warnings.catch_warnings():
        # What throw() takes beside an exception is on its way out.
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(ValueError, match="x"):
            connecting.throw(*thrown)
    assert not listener.was_tried()
