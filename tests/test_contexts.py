"""contextvars: a handler runs in the context in which it was connected, not in that of whoever connected first."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from sunsocket import WebSocket, aio
from sunsocket._log import describe
from tests.faces import Face

REQUEST = contextvars.ContextVar("request", default="none")


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_face(request):
    return Face(request.param)


def test_three_tasks_with_a_socket_each(loop_face, echo):
    """Each is another request; the first one makes what all sockets of the loop share."""

    async def request(number, seen):
        REQUEST.set(number)
        ws = await aio.WebSocket.connect(echo.url)
        done = asyncio.Event()

        def on_message(message):
            seen.append(("message", message, REQUEST.get()))

        async def on_message_too(message):
            await asyncio.sleep(0)
            seen.append(("task", message, REQUEST.get()))
            ws.Close()

        def on_close():
            seen.append(("close", str(number), REQUEST.get()))
            done.set()

        ws.OnMessage.Connect(on_message)
        ws.on_message.once(on_message_too)
        ws.OnClose.Connect(on_close)
        ws.Send(str(number))
        await done.wait()

    async def test():
        seen = []
        await asyncio.gather(*(asyncio.create_task(request(number, seen)) for number in range(3)))
        await asyncio.sleep(0)
        assert len(seen) == 9
        assert [entry for entry in seen if entry[1] != str(entry[2])] == []

    loop_face.run(test)


def test_a_handler_without_a_context_sees_nobody_else_s(loop_face, echo):
    async def first():
        REQUEST.set("first")
        return await aio.WebSocket.connect(echo.url)

    async def test():
        ws = await asyncio.create_task(first())
        seen = asyncio.get_running_loop().create_future()
        ws.OnMessage.Connect(lambda message: seen.set_result(REQUEST.get()))
        ws.Send("x")
        assert await asyncio.wait_for(seen, 5) == "none"
        await ws.close()

    loop_face.run(test)


def test_what_a_handler_sets_is_its_own(face, echo):
    """Its next call sees it; others, and whoever connected it, do not."""

    async def test():
        token = REQUEST.set("mine")
        ws = await face.connect(echo.url)
        seen = []

        def one(message):
            seen.append(REQUEST.get())
            REQUEST.set(f"one {message}")

        ws.OnMessage.Connect(one)
        ws.OnMessage.Connect(lambda message: seen.append(REQUEST.get()))
        REQUEST.reset(token)
        ws.Send("a")
        ws.Send("b")
        await face.until(lambda: len(seen) == 4)
        assert seen == ["mine", "mine", "one a", "mine"]
        assert REQUEST.get() == "none"
        ws.Close()
        await face.do(ws.wait_closed(5))

    face.run(test)


def test_on_the_dispatcher_s_thread_it_is_the_context_of_the_connecting_thread(echo):
    seen = []

    def request(number):
        REQUEST.set(number)
        with WebSocket.connect(echo.url) as ws:
            got = threading.Event()

            @ws.OnMessage.Connect
            def on_message(message):
                seen.append((message, REQUEST.get()))
                got.set()

            ws.Send(str(number))
            assert got.wait(10)

    threads = [threading.Thread(target=request, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [(str(number), number) for number in range(3)]


def test_a_handler_in_a_context_is_called_by_its_name(face, echo, caplog):
    reports = []

    async def test():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["message"]))
        token = REQUEST.set("mine")
        ws = await face.connect(echo.url)

        def wrong(message):
            raise LookupError(message)

        connection = ws.OnMessage.Connect(wrong)
        REQUEST.reset(token)
        ws.Send("x")
        await face.until(lambda: bool(reports or caplog.records))
        text = reports[0] if reports else caplog.records[0].getMessage()
        assert text == f"the handler {describe(wrong)} raised"
        connection.Disconnect()
        ws.Close()
        await face.do(ws.wait_closed(5))

    face.run(test)
