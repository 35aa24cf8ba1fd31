"""Semantic 2: messages fire in wire order, one at a time, to those who listened when they began to fire."""

from __future__ import annotations

import threading

import pytest

from sunsocket import ConnectionClosed, WebSocket
from tests.servers.raw import CLOSE, PING, TEXT, frame


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


RESERVED_OPCODE = frame(5, b"?")


def answered_before(violation, answers):
    """A server that sends two messages and a violation at once, and keeps what comes back."""

    def script(peer):
        peer.accept()
        peer.sock.sendall(frame(TEXT, b"one") + frame(TEXT, b"two") + violation + frame(PING))
        answers.extend(peer.recv() for _ in range(3))
        peer.wait_for_end()

    return script


def is_whole(answers):
    payloads = [(answer.opcode, answer.payload) for answer in answers[:2]]
    return payloads == [(TEXT, b"one"), (TEXT, b"two")] and (answers[2].opcode, answers[2].code) == (CLOSE, 1002)


def test_what_handlers_answer_leaves_before_the_close_of_a_violation_behind(face, raw_server):
    answers = []

    async def test():
        server = raw_server(answered_before(RESERVED_OPCODE, answers))
        ws = await face.connect(server.url)
        ws.OnMessage.Connect(lambda message: ws.Send(message) and None)
        await face.do(ws.OnClose.Wait(10))
        await face.until(lambda: len(answers) == 3)
        assert is_whole(answers)
        assert ws.close_code == 1002

    face.run(test)


def test_what_a_receiver_answers_leaves_before_the_close_of_a_violation_behind(face, raw_server):
    answers = []

    async def test():
        server = raw_server(answered_before(RESERVED_OPCODE, answers))
        ws = await face.connect(server.url)
        for _ in range(2):
            await face.do(ws.Send(await face.do(ws.recv(10))))
        with pytest.raises(ConnectionClosed) as raised:
            await face.do(ws.recv(10))
        assert raised.value.code == 1002
        await face.until(lambda: len(answers) == 3)
        assert is_whole(answers)

    face.run(test)


def test_who_took_what_was_held_hears_of_the_violation_behind_it_at_once(face, raw_server, echo):
    sent = threading.Event()

    def script(peer):
        peer.accept()
        peer.sock.sendall(frame(TEXT, b"one") + frame(TEXT, b"two") + RESERVED_OPCODE)
        sent.set()
        peer.wait_for_end()

    async def test():
        ws = await face.connect(raw_server(script).url)
        other = await face.connect(echo.url)
        sent.wait(10)
        # When the echo is here, so is what was sent before it.
        await face.do(other.Send("echo"))
        await face.do(other.recv(10))
        assert [await face.do(ws.recv(10)), await face.do(ws.recv(10))] == ["one", "two"]
        with pytest.raises(ConnectionClosed) as raised:
            await face.do(ws.recv(0.5))
        assert raised.value.code == 1002
        other.Close()

    face.run(test)


def test_a_handler_in_recv_hears_of_the_violation_behind_its_message(raw_server):
    ended, done = [], threading.Event()

    def wait_for_more(message):
        try:
            while True:
                ws.recv(10)
        except ConnectionClosed as closed:
            ended.append(closed.code)

    def script(peer):
        peer.accept()
        peer.sock.sendall(frame(TEXT, b"one") + RESERVED_OPCODE)
        peer.wait_for_end()

    ws = WebSocket.connect(raw_server(script).url)
    ws.OnMessage.Connect(wait_for_more)
    ws.OnClose.Once(done.set)
    assert done.wait(10)
    assert ended == [1002]


def test_a_violation_does_not_wait_for_messages_that_nobody_takes(face, raw_server):
    def script(peer):
        peer.accept()
        peer.send(TEXT, b"first")
        assert peer.recv().payload == b"more"
        peer.sock.sendall(frame(TEXT, b"left") + RESERVED_OPCODE)
        assert peer.recv_close().code == 1002

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        await face.do(ws.recv(10))
        await face.do(ws.Send("more"))
        await face.do(ws.OnClose.Wait(10))
        assert await face.do(ws.recv(10)) == "left"
        server.join()

    face.run(test)
