"""Semantic 3: OnClose fires once, without arguments, after the last message, however the connection ended."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sunsocket import WebSocket
from tests.servers.raw import CLOSE, TEXT, close_payload


def peer_closes(peer):
    peer.accept()
    peer.recv()
    peer.send(TEXT, b"last")
    peer.send(CLOSE, close_payload(1001, "bye"))


def peer_vanishes(peer):
    peer.accept()
    peer.recv()
    peer.send(TEXT, b"last")


def peer_breaks_the_protocol(peer):
    peer.accept()
    peer.recv()
    peer.send(TEXT, b"last")
    peer.send(3)
    peer.recv_close()


@pytest.mark.parametrize(
    ("script", "code"), [(peer_closes, 1001), (peer_vanishes, 1006), (peer_breaks_the_protocol, 1002)]
)
def test_after_the_last_message(face, raw_server, script, code):
    async def test():
        ws = await face.connect(raw_server(script).url)
        calls = []
        ws.OnClose.Connect(lambda *args: calls.append(("close", args)))
        ws.OnMessage.Connect(calls.append)
        ws.Send("begin")
        await face.until(lambda: len(calls) >= 2)
        assert calls == ["last", ("close", ())]
        assert ws.close_code == code
        assert (ws.error is None) == (code == 1001)
        await asyncio.sleep(0)
        assert len(calls) == 2

    face.run(test)


def test_wait_returns_after_the_last_message(face, raw_server):
    def script(peer):
        peer.accept()
        peer.recv()
        for number in range(20):
            peer.send(TEXT, b"%d" % number)
        peer.send(CLOSE, close_payload(1000))

    async def test():
        ws = await face.connect(raw_server(script).url)
        got = []

        def handler(message):
            time.sleep(0.005)
            got.append(message)

        ws.OnMessage.Connect(handler)
        ws.Send("begin")
        await face.do(ws.OnClose.Wait(10))
        assert got == [str(number) for number in range(20)]

    face.run(test)


def test_wait_in_a_handler_does_not_wait_for_the_messages_behind_it(raw_server):
    ws = WebSocket.connect(raw_server(peer_closes).url)
    waited = threading.Event()

    def handler(_message):
        ws.OnClose.Wait(10)
        waited.set()

    ws.OnMessage.Connect(handler)
    ws.Send("begin")
    assert waited.wait(5)
    ws.OnClose.Wait(5)


def test_wait_does_not_wait_for_a_busy_handler_of_another_socket(raw_server, echo):
    go = threading.Event()

    def script(peer):
        peer.accept()
        assert go.wait(10)
        peer.send(CLOSE, close_payload(1000))

    other = WebSocket.connect(raw_server(script).url)
    other.OnMessage.Connect(print)
    ws = WebSocket.connect(echo.url)
    waited = threading.Event()

    def handler(_message):
        thread = threading.Thread(target=lambda: (other.OnClose.Wait(5), waited.set()))
        thread.start()
        go.set()
        thread.join(10)

    ws.OnMessage.Connect(handler)
    ws.Send("x")
    assert waited.wait(10)


def test_wait_gives_a_handler_that_stays_busy_the_time_of_a_close(raw_server):
    ws = WebSocket.connect(raw_server(peer_closes).url, close_timeout=0.2)
    free = threading.Event()
    ws.OnMessage.Connect(lambda _message: free.wait(10))
    ws.Send("begin")
    ws.OnClose.Wait(5)
    free.set()


def test_wait_after_a_local_close_does_not_wait_for_a_busy_handler(echo):
    ws = WebSocket.connect(echo.url)
    busy, free = threading.Event(), threading.Event()

    def handler(_message):
        busy.set()
        free.wait(10)

    ws.OnMessage.Connect(handler)
    ws.Send("x")
    assert busy.wait(5)
    ws.Close()
    ws.OnClose.Wait(5)
    free.set()


def test_after_a_local_close(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        calls = []
        ws.OnClose.Connect(lambda: calls.append("close"))
        ws.Close()
        ws.Close()
        await face.until(lambda: calls)
        await face.do(ws.OnClose.Wait(5))
        assert calls == ["close"]
        assert (ws.close_code, ws.error) == (1000, None)

    face.run(test)


def test_a_late_listener_is_called_once_soon_and_wait_returns_at_once(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        calls = []
        ws.OnClose.Connect(lambda: calls.append("late"))
        await face.until(lambda: calls)
        assert await face.do(ws.OnClose.Wait(0.5)) is None
        ws.OnClose.Once(lambda: calls.append("later"))
        await face.until(lambda: len(calls) == 2)
        assert calls == ["late", "later"]

    face.run(test)
