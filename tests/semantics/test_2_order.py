"""Semantic 2: messages fire in wire order, one at a time, to those who listened when they began to fire."""

from __future__ import annotations

import threading

from sunsocket import WebSocket
from tests.servers.raw import TEXT, frame


def test_wire_order_over_many_messages(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        got = []
        ws.OnMessage.Connect(got.append)
        expected = [str(number) * (number % 50) for number in range(5000)]
        for message in expected:
            await face.do(ws.Send(message))
        await face.until(lambda: len(got) == len(expected))
        assert got == expected
        ws.Close()

    face.run(test)


def test_handlers_run_in_the_order_of_connection(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        calls = []
        ws.OnMessage.Connect(lambda m: calls.append(("first", m)))
        ws.OnMessage.Once(lambda m: calls.append(("once", m)))
        ws.OnMessage.Connect(lambda m: calls.append(("last", m)))
        ws.Send("a")
        ws.Send("b")
        await face.until(lambda: len(calls) == 5)
        assert calls == [("first", "a"), ("once", "a"), ("last", "a"), ("first", "b"), ("last", "b")]
        ws.Close()

    face.run(test)


def test_who_connects_or_goes_while_a_message_fires(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        calls = []

        def first(message):
            calls.append(("first", message))
            if message == "a":
                ws.OnMessage.Connect(lambda m: calls.append(("late", m)))
                gone.Disconnect()

        ws.OnMessage.Connect(first)
        gone = ws.OnMessage.Connect(lambda m: calls.append(("gone", m)))
        ws.Send("a")
        ws.Send("b")
        await face.until(lambda: len(calls) == 3)
        assert calls == [("first", "a"), ("first", "b"), ("late", "b")]
        assert not gone.Connected
        ws.Close()

    face.run(test)


def test_a_once_handler_runs_once(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        once, every = [], []
        connection = ws.OnMessage.Once(once.append)
        ws.OnMessage.Connect(every.append)
        for number in range(10):
            ws.Send(str(number))
        await face.until(lambda: len(every) == 10)
        assert once == ["0"]
        assert not connection.Connected
        ws.Close()

    face.run(test)


def ten_at_once(peer):
    """Ten messages that the client gets with one read, and it is one handler's turn after the other."""
    peer.accept(send=b"".join(frame(TEXT, str(number).encode()) for number in range(10)))
    peer.finish()


def test_a_handler_that_goes_in_the_middle_of_a_read_leaves_the_rest_in_order(face, raw_server):
    async def test():
        ws = await face.connect(raw_server(ten_at_once).url)
        got = []

        def first(message):
            got.append(message)
            if message == "3":
                connection.Disconnect()

        connection = ws.OnMessage.Connect(first)
        await face.until(lambda: not connection.Connected)
        got += [await face.do(ws.recv(5)) for _ in range(2)]
        ws.OnMessage.Connect(got.append)
        await face.until(lambda: len(got) == 10)
        assert got == [str(number) for number in range(10)]
        ws.Close()

    face.run(test)


def test_a_handler_that_comes_in_the_middle_of_a_read_gets_all_that_follows(face, raw_server):
    async def test():
        ws = await face.connect(raw_server(ten_at_once).url)
        first, second = [], []

        def handler(message):
            first.append(message)
            if message == "3":
                ws.OnMessage.Connect(second.append)

        ws.OnMessage.Connect(handler)
        await face.until(lambda: len(second) == 6)
        assert first == [str(number) for number in range(10)]
        assert second == first[4:]
        ws.Close()

    face.run(test)


def test_a_handler_that_waits_in_the_middle_of_a_read_gets_the_next_and_still_every_one(raw_server):
    ws = WebSocket.connect(raw_server(ten_at_once).url)
    calls = []
    done = threading.Event()

    def handler(message):
        calls.append(message)
        if message == "3":
            calls.append(("waited", ws.OnMessage.Wait(5)))
        if message == "9":
            done.set()

    ws.OnMessage.Connect(handler)
    assert done.wait(10)
    assert calls == [*"0123", ("waited", "4"), *"456789"]
    ws.Close()


def test_a_handler_that_closes_in_the_middle_of_a_read_gets_no_more(face, raw_server):
    async def test():
        ws = await face.connect(raw_server(ten_at_once).url)
        got, closed = [], []

        def handler(message):
            got.append(message)
            if message == "3":
                ws.Close()

        ws.OnClose.Connect(lambda: closed.append(list(got)))
        ws.OnMessage.Connect(handler)
        await face.until(lambda: bool(closed))
        assert closed == [list("0123")]

    face.run(test)
