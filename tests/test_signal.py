"""Signals: handlers come by Connect, Once or as a decorator, and go by Disconnect; Wait waits for one value."""

from __future__ import annotations

import functools
import logging
import threading

import pytest

import sunsocket
import sunsocket.aio
from sunsocket import ConnectionClosed, SignalConnection, WebSocket

SIGNALS = [sunsocket.Signal, sunsocket.aio.Signal]


@pytest.mark.parametrize("cls", SIGNALS)
def test_aliases_are_the_same_objects(cls):
    for name, alias in [("Connect", "connect"), ("Once", "once"), ("Wait", "wait")]:
        assert getattr(cls, name) is getattr(cls, alias)


def test_connect_is_also_a_decorator(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        got = []

        @ws.OnMessage.Connect
        def on_message(message):
            got.append(message)

        @ws.on_message.once
        def first(message):
            got.append(("first", message))

        assert isinstance(on_message, SignalConnection)
        assert isinstance(first, SignalConnection)
        ws.Send("a")
        ws.Send("b")
        await face.until(lambda: len(got) == 3)
        assert got == ["a", ("first", "a"), "b"]
        assert (on_message.Connected, first.Connected) == (True, False)
        ws.Close()

    face.run(test)


def test_disconnect_ends_a_handler_and_may_be_called_again(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        got, witness = [], []
        connection = ws.OnMessage.Connect(got.append)
        ws.OnMessage.Connect(witness.append)
        assert connection.Connected is connection.connected is True
        ws.Send("a")
        await face.until(lambda: witness == ["a"])
        connection.Disconnect()
        connection.disconnect()
        assert connection.Connected is connection.connected is False
        ws.Send("b")
        await face.until(lambda: witness == ["a", "b"])
        assert got == ["a"]
        ws.Close()

    face.run(test)


def test_one_function_may_be_connected_twice(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        got = []
        first, second = ws.OnMessage.Connect(got.append), ws.OnMessage.Connect(got.append)
        ws.Send("a")
        await face.until(lambda: got == ["a", "a"])
        first.Disconnect()
        assert second.Connected
        ws.Send("b")
        await face.until(lambda: got == ["a", "a", "b"])
        ws.Close()

    face.run(test)


def test_every_callable_is_a_handler(face, echo):
    class Callable:
        def __call__(self, message):
            got.append(("object", message))

        def method(self, message):
            got.append(("method", message))

    got = []

    async def test():
        ws = await face.connect(echo.url)
        ws.OnMessage.Connect(Callable())
        ws.OnMessage.Connect(Callable().method)
        ws.OnMessage.Connect(functools.partial(lambda label, message: got.append((label, message)), "partial"))
        ws.OnMessage.Connect(got.append)
        ws.Send("x")
        await face.until(lambda: len(got) == 4)
        assert got == [("object", "x"), ("method", "x"), ("partial", "x"), "x"]
        ws.Close()

    face.run(test)


def test_what_cannot_be_called_is_refused(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for signal in (ws.OnMessage, ws.OnClose):
            for connect in (signal.Connect, signal.Once):
                for handler in (None, "print", 5, []):
                    with pytest.raises(TypeError, match=f"a handler is a function .*{type(handler).__name__}"):
                        connect(handler)
        ws.Close()

    face.run(test)


def test_a_coroutine_function_is_refused_on_the_thread_face(echo):
    async def handler(message):
        pass

    with WebSocket.connect(echo.url) as ws:
        for signal in (ws.OnMessage, ws.OnClose):
            for connect in (signal.Connect, signal.Once):
                for wrong in (handler, functools.partial(handler, 1)):
                    with pytest.raises(TypeError, match=r"coroutine function.*sunsocket\.aio"):
                        connect(wrong)


def test_anything_else_that_a_handler_returns_is_dropped(echo, caplog):
    with WebSocket.connect(echo.url) as ws:
        ws.OnMessage.Connect(len)
        ws.Send("x")
        assert ws.OnMessage.Wait(5) == "x"
    assert caplog.text == ""


def test_a_coroutine_that_a_plain_handler_returns_is_reported(echo, caplog):
    async def work(message):
        pass

    with caplog.at_level(logging.ERROR, "sunsocket"), WebSocket.connect(echo.url) as ws:
        done = threading.Event()
        ws.OnMessage.Connect(lambda message: work(message))
        ws.OnMessage.Connect(lambda message: done.set())
        ws.Send("x")
        assert done.wait(5)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "returned a coroutine, which never runs here: use sunsocket.aio" in caplog.text
    assert "test_signal.py" in caplog.text


def test_once_runs_once(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        got, all_of_them = [], []
        connection = ws.OnMessage.Once(got.append)
        ws.OnMessage.Connect(all_of_them.append)
        for message in "abc":
            ws.Send(message)
        await face.until(lambda: all_of_them == ["a", "b", "c"])
        assert got == ["a"]
        assert not connection.Connected
        connection.Disconnect()
        ws.Close()

    face.run(test)


def test_once_that_was_disconnected_never_runs(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        got = []
        ws.OnMessage.Once(got.append).Disconnect()
        ws.OnClose.Once(lambda: got.append("closed")).Disconnect()
        ws.Send("x")
        assert await face.do(ws.recv(5)) == "x"
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        assert got == []

    face.run(test)


def test_wait_has_a_timeout_and_loses_nothing(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for timeout in (0, 0.02):
            with pytest.raises(TimeoutError, match="nothing is lost"):
                await face.do(ws.OnMessage.Wait(timeout))
            with pytest.raises(TimeoutError, match="nothing is lost"):
                await face.do(ws.OnClose.Wait(timeout))
            with pytest.raises(TimeoutError, match="nothing is lost"):
                await face.do(ws.recv(timeout))
        ws.Send("x")
        assert await face.do(ws.OnMessage.Wait(timeout=5)) == "x"
        ws.Close()

    face.run(test)


def test_wait_ends_when_the_connection_does(face, echo):
    async def test():
        ws = await face.connect(echo.url + "close")
        for number in range(3):
            assert await face.do(ws.OnMessage.Wait()) == str(number)
        with pytest.raises(ConnectionClosed) as raised:
            await face.do(ws.OnMessage.Wait())
        assert raised.value.code == 4000
        assert await face.do(ws.OnClose.Wait()) is None

    face.run(test)


def test_a_handler_that_raises_leaves_the_rest_in_place(face, echo, caplog):
    async def test():
        ws = await face.connect(echo.url)
        got = []

        def breaks():
            raise RuntimeError("on close")

        if face.is_async:
            import asyncio

            asyncio.get_running_loop().set_exception_handler(lambda _, context: got.append(str(context["exception"])))
        ws.OnClose.Connect(breaks)
        ws.OnClose.Connect(lambda: got.append("closed"))
        ws.Close()
        await face.until(lambda: "closed" in got)
        if face.is_async:
            assert got == ["on close", "closed"]
        else:
            assert "test_signal.py" in caplog.text
            assert "RuntimeError: on close" in caplog.text

    with caplog.at_level(logging.ERROR, "sunsocket"):
        face.run(test)


def test_a_signal_connection_does_not_keep_the_socket_s_handler(echo):
    import weakref

    class Callable:
        def __call__(self, message):
            pass

    with WebSocket.connect(echo.url) as ws:
        handler = Callable()
        watch = weakref.ref(handler)
        connection = ws.OnMessage.Connect(handler)
        del handler
        assert watch() is not None
        connection.Disconnect()
        assert watch() is None
