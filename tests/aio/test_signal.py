"""Handlers on asyncio: plain functions run in the loop, coroutine functions as tasks; failures go to the loop."""

from __future__ import annotations

import asyncio
import functools
import threading

from sunsocket.aio import WebSocket
from tests.aio.conftest import until


def test_plain_handlers_run_in_the_loop_s_thread(loop, echo):
    async def test():
        ran = []

        def handler(message):
            ran.append((threading.get_ident(), asyncio.get_running_loop()))

        async with WebSocket.connect(echo.url) as ws:
            ws.OnMessage.Connect(handler)
            ws.Send("x")
            await until(lambda: bool(ran))
        assert ran == [(threading.get_ident(), asyncio.get_running_loop())]

    loop.run(test)


def test_coroutine_functions_are_handlers_of_both_signals(loop, echo):
    async def test():
        got = []

        async def on_message(label, message):
            await asyncio.sleep(0)
            got.append((label, message))

        async def on_close():
            await asyncio.sleep(0)
            got.append("closed")

        ws = await WebSocket.connect(echo.url)

        @ws.OnMessage.Connect
        async def decorated(message):
            await on_message("decorated", message)

        ws.OnMessage.Connect(functools.partial(on_message, "partial"))
        ws.OnMessage.Once(lambda message: on_message("lambda", message))
        ws.OnClose.Connect(on_close)
        for message in "ab":
            ws.Send(message)
        await until(lambda: len(got) == 5)
        assert got.count(("lambda", "a")) == 1
        assert {("decorated", "a"), ("partial", "b")} <= set(got)
        ws.Close()
        await until(lambda: "closed" in got)

    loop.run(test)


def test_a_coroutine_handler_may_use_the_socket(loop, echo):
    async def test():
        answers = []

        async def handler(message):
            if message == "begin":
                await ws.Send("question")
                answers.append(await ws.OnMessage.Wait(5))
                answers.append(await ws.ping(timeout=5) > 0)
                ws.Close()

        ws = await WebSocket.connect(echo.url)
        ws.OnMessage.Connect(handler)
        ws.Send("begin")
        await ws.OnClose.Wait(5)
        assert answers == ["question", True]

    loop.run(test)


def test_the_tasks_of_handlers_are_kept_until_they_end(loop, echo):
    import gc

    async def test():
        done = []
        gate = asyncio.Event()

        async def handler(message):
            await gate.wait()
            done.append(message)

        async with WebSocket.connect(echo.url) as ws:
            ws.OnMessage.Connect(handler)
            for number in range(10):
                ws.Send(str(number))
            for _ in range(10):
                await ws.OnMessage.Wait(5) if not done else None
                gc.collect()
                break
            gate.set()
            await until(lambda: len(done) == 10)

    loop.run(test)


def test_what_handlers_raise_goes_to_the_loop_s_exception_handler(loop, echo):
    async def test():
        reports = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

        def plain(message):
            raise LookupError("plain")

        async def coroutine(message):
            await asyncio.sleep(0)
            raise LookupError("coroutine")

        async with WebSocket.connect(echo.url) as ws:
            ws.OnMessage.Connect(plain)
            ws.OnMessage.Connect(coroutine)
            ws.Send("x")
            await until(lambda: len(reports) == 2)
        assert [str(report["exception"]) for report in reports] == ["plain", "coroutine"]
        for report, name in zip(reports, ["plain", "coroutine"], strict=True):
            assert isinstance(report["exception"], LookupError)
            assert report["exception"].__traceback__ is not None
            assert name in report["message"]
            assert "test_signal.py" in report["message"]

    loop.run(test)


def test_a_cancelled_handler_task_is_no_failure(loop, echo):
    async def test():
        reports = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        started = []

        async def handler(message):
            started.append(asyncio.current_task())
            await asyncio.sleep(100)

        async with WebSocket.connect(echo.url) as ws:
            ws.OnMessage.Connect(handler)
            ws.Send("x")
            await until(lambda: bool(started))
            started[0].cancel()
            await asyncio.wait(started)
        assert reports == []

    loop.run(test)


def test_anything_else_that_a_handler_returns_is_dropped(loop, echo):
    async def test():
        reports = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        async with WebSocket.connect(echo.url) as ws:
            ws.OnMessage.Connect(len)
            ws.Send("x")
            assert await ws.OnMessage.Wait(5) == "x"
        assert reports == []

    loop.run(test)


def test_a_handler_s_future_is_awaited_too(loop, echo):
    async def test():
        reports = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["exception"]))

        def handler(message):
            future = asyncio.get_running_loop().create_future()
            future.set_exception(LookupError("from a future"))
            return future

        async with WebSocket.connect(echo.url) as ws:
            ws.OnMessage.Connect(handler)
            ws.Send("x")
            await until(lambda: bool(reports))
        assert str(reports[0]) == "from a future"

    loop.run(test)
