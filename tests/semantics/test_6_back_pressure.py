"""Semantic 6: Send waits above the high-water mark, outside of handlers; memory stays bounded under any peer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.servers.raw import TEXT

HIGH, LOW = 256 << 10, 64 << 10


def slow_reader(go: threading.Event, total: int):
    def script(peer):
        peer.accept()
        go.wait(20)
        seen = 0
        while seen < total:
            seen += len(peer.recv().payload)
        peer.send(TEXT, b"all")
        peer.finish()

    return script


def test_a_thread_waits_until_the_peer_reads(raw_server):
    from sunsocket import WebSocket

    go, done = threading.Event(), threading.Event()
    total = 32 << 20
    ws = WebSocket.connect(raw_server(slow_reader(go, total)).url, write_limit=(HIGH, LOW))
    sent = 0

    def send():
        nonlocal sent
        piece = b"x" * (64 << 10)
        while sent < total:
            ws.Send(piece)
            sent += len(piece)
        done.set()

    thread = threading.Thread(target=send)
    thread.start()
    # What sockets buffer is some megabytes: far less than what is to be sent.
    assert not done.wait(0.5)
    assert sent < total / 2
    go.set()
    assert done.wait(20)
    thread.join()
    assert ws.recv(20) == "all"
    ws.Close()


def test_a_task_waits_until_the_peer_reads(face, raw_server):
    if not face.is_async:
        return
    go = threading.Event()
    total = 32 << 20

    async def test():
        ws = await face.connect(raw_server(slow_reader(go, total)).url, write_limit=(HIGH, LOW))
        sent = 0

        async def send():
            nonlocal sent
            piece = b"x" * (64 << 10)
            while sent < total:
                await ws.Send(piece)
                sent += len(piece)

        task = asyncio.create_task(send())
        done, _ = await asyncio.wait([task], timeout=0.5)
        assert not done
        assert sent < total / 2
        go.set()
        await task
        assert await ws.recv(20) == "all"
        ws.Close()

    face.run(test)


def test_inside_a_handler_send_never_waits_and_reading_stops_instead(face, raw_server):
    go = threading.Event()
    stalled = threading.Event()

    def script(peer):
        # Sends much and reads nothing: a client that answered without bound would fill its memory.
        peer.accept()
        peer.sock.settimeout(0.5)
        try:
            for _ in range(4000):
                peer.send(TEXT, b"x" * (64 << 10))
        except TimeoutError:
            stalled.set()

    async def test():
        ws = await face.connect(raw_server(script).url, write_limit=(HIGH, LOW))
        count = 0

        def answer(message):
            nonlocal count
            count += 1
            ws.Send(message)

        ws.OnMessage.Connect(answer)
        await face.until(stalled.is_set, 20)
        assert count < 1000
        ws.abort()

    face.run(test)
    go.set()


def test_a_sender_that_waits_is_let_go_when_the_connection_ends(raw_server):
    from sunsocket import ConnectionClosed, WebSocket

    def script(peer):
        peer.accept()
        threading.Event().wait(0.5)

    ws = WebSocket.connect(raw_server(script).url, write_limit=(HIGH, LOW))

    def send_on_and_on():
        while True:
            ws.Send(b"x" * (64 << 10))

    with pytest.raises(ConnectionClosed) as raised:
        send_on_and_on()
    assert raised.value.code == 1006


def test_senders_that_wait_do_not_keep_an_echo_from_being_read(face, raw_server):
    # The server reads no further while its answers do not leave: one of the two sides has to go on reading.
    count, piece = 300, b"x" * (128 << 10)

    def script(peer):
        peer.accept()
        for _ in range(count):
            peer.send(TEXT, peer.recv().payload)
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url, write_limit=(HIGH, LOW))

        async def send():
            for _ in range(count):
                await face.do(ws.Send(piece, text=True))

        async def receive():
            for _ in range(count):
                assert len(await face.do(ws.recv(20))) == len(piece)

        if face.is_async:
            await asyncio.gather(send(), receive())
        else:
            thread = threading.Thread(target=lambda: [ws.Send(piece, text=True) for _ in range(count)], daemon=True)
            thread.start()
            await receive()
            thread.join()
        ws.Close()

    face.run(test)
