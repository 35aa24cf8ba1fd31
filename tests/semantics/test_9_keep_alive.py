"""Semantic 9: keep-alive, also while the program is busy (the guardian)."""

from __future__ import annotations

import ctypes
import logging
import threading
import time

import pytest

from sunsocket import WebSocket
from sunsocket.aio import WebSocket as AioWebSocket
from tests.servers.raw import PING, PONG, TEXT, frame


def test_a_ping_is_sent_in_silence_and_measures_latency(face, raw_server):
    def script(peer):
        peer.accept()
        received = peer.recv()
        assert received.opcode == PING
        peer.send(PONG, received.payload)
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url, ping_interval=0.1)
        assert ws.latency is None
        await face.until(lambda: ws.latency is not None)
        assert 0 < ws.latency < 5
        ws.Close()

    face.run(test)


def test_no_pong_is_a_lost_connection(face, raw_server):
    def script(peer):
        peer.accept()
        peer.wait_for_end()

    async def test():
        ws = await face.connect(raw_server(script).url, ping_interval=0.1, ping_timeout=0.2)
        await face.do(ws.OnClose.Wait(10))
        assert ws.close_code == 1006
        assert "ping_timeout" in str(ws.error)

    face.run(test)


def test_each_ping_of_a_burst_is_answered_in_order(face, raw_server):
    pings = [b"ping %d" % number for number in range(10)]
    answers = []

    def script(peer):
        peer.accept()
        peer.sock.sendall(b"".join(frame(PING, ping) for ping in pings))
        answers.extend(peer.recv() for _ in pings)
        peer.finish()

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        await face.until(lambda: len(answers) == len(pings))
        assert [(answer.opcode, answer.payload) for answer in answers] == [(PONG, ping) for ping in pings]
        ws.Close()

    face.run(test)


def test_pings_of_the_server_are_answered(face, raw_server):
    answers = []

    def script(peer):
        peer.accept()
        peer.send(PING, b"one")
        answers.append(peer.recv())
        peer.send(PING)
        answers.append(peer.recv())
        peer.finish()

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        await face.until(lambda: len(answers) == 2)
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        assert [(frame.opcode, frame.payload) for frame in answers] == [(PONG, b"one"), (PONG, b"")]

    face.run(test)


def test_a_ping_of_the_program_and_its_timeout(face, raw_server):
    def script(peer):
        peer.accept()
        received = peer.recv()
        peer.send(PONG, received.payload)
        peer.recv()
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        assert 0 < await face.do(ws.ping(b"hello", timeout=5)) < 5
        with pytest.raises(TimeoutError):
            await face.do(ws.ping(timeout=0.1))
        with pytest.raises(ValueError, match="125"):
            await face.do(ws.ping(b"x" * 126))
        ws.Close()

    face.run(test)


BUSY = 2.0  # seconds


def sleeps():
    time.sleep(BUSY)


def computes():
    end = time.monotonic() + BUSY
    while time.monotonic() < end:
        sum(range(1000))


def holds_the_gil():
    # A PyDLL call keeps the GIL: nothing written in Python can run meanwhile.
    ctypes.PyDLL(None).usleep(int(BUSY * 1e6))


class Watch:
    """Pings every 50 ms while the client is busy, sends numbered messages, and notes how late each pong is."""

    def __init__(self) -> None:
        self.slowest = 0.0
        self.pongs = 0
        self.texts = 0

    def __call__(self, peer) -> None:
        peer.accept()
        peer.send(TEXT, b"begin")
        end = time.monotonic() + BUSY
        while time.monotonic() < end:
            peer.send(TEXT, b"%d" % self.texts)
            self.texts += 1
            start = time.monotonic()
            peer.send(PING, b"%d" % self.pongs)
            while (received := peer.recv()).opcode != PONG:
                assert received.opcode == PING
                peer.send(PONG, received.payload)
            assert received.payload == b"%d" % self.pongs
            self.slowest = max(self.slowest, time.monotonic() - start)
            self.pongs += 1
            time.sleep(0.05)
        peer.send(TEXT, b"end")
        peer.finish()


@pytest.mark.parametrize("work", [sleeps, computes, holds_the_gil])
def test_a_busy_handler_loses_no_connection(raw_server, caplog, work):
    # On a process of its own server and client would share no GIL; here a held GIL holds the server up as well, so
    # that case counts pongs less strictly.
    watch = Watch()
    got, done = [], threading.Event()
    with caplog.at_level(logging.WARNING, "sunsocket"):
        ws = WebSocket.connect(raw_server(watch).url)

        def handler(message):
            if message == "begin":
                work()
            got.append(message)
            if message == "end":
                done.set()

        ws.OnMessage.Connect(handler)
        assert done.wait(20)
    assert got == ["begin", *map(str, range(watch.texts)), "end"]
    if work is not holds_the_gil:
        # While the handler was away, not after it.
        assert watch.pongs > 2
        assert watch.slowest < BUSY
        assert any("handler" in record.message and "busy" in record.message for record in caplog.records)
    ws.Close()


def test_a_blocked_loop_loses_no_connection(face, raw_server, caplog):
    if not face.is_async:
        return
    watch = Watch()
    got = []

    async def test():
        ws = await AioWebSocket.connect(raw_server(watch).url)
        assert await ws.recv(5) == "begin"
        time.sleep(BUSY)
        async for message in ws:
            if message == "end":
                break
            got.append(message)
        ws.Close()
        # The loop hears of it when it comes to turn the reactor itself.
        await face.until(lambda: any("event loop was blocked" in record.message for record in caplog.records))

    with caplog.at_level(logging.WARNING, "sunsocket"):
        face.run(test)
    assert got == list(map(str, range(watch.texts)))
    assert watch.pongs > 2
    assert watch.slowest < BUSY
    assert any("event loop was blocked" in record.message for record in caplog.records)


def test_what_other_threads_send_leaves_while_a_handler_is_busy(raw_server):
    seen = []
    release = threading.Event()

    def script(peer):
        peer.accept()
        peer.send(TEXT, b"begin")
        for _ in range(3):
            seen.append(peer.recv().payload)
        release.set()
        peer.finish()

    ws = WebSocket.connect(raw_server(script).url)
    started = threading.Event()

    def handler(message):
        ws.Send("from the handler")
        started.set()
        assert release.wait(10)

    ws.OnMessage.Connect(handler)
    assert started.wait(5)
    ws.Send("one")
    ws.Send("two")
    assert release.wait(10)
    assert seen == [b"from the handler", b"one", b"two"]
    ws.Close()
