"""Semantic 4: Close starts the closing handshake and returns; after it OnMessage fires no more."""

from __future__ import annotations

import threading
import time

from sunsocket import State
from tests.servers.raw import CLOSE, TEXT, close_payload


def test_code_and_reason_arrive(face, raw_server):
    seen = []

    def script(peer):
        peer.accept()
        received = peer.recv_close()
        seen.append((received.code, received.payload[2:]))
        peer.send(CLOSE, received.payload)

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        ws.Close(4001, "därum")
        await face.do(ws.OnClose.Wait(5))
        server.join()
        assert seen == [(4001, "därum".encode())]
        assert (ws.close_code, ws.close_reason, ws.state) == (4001, "därum", State.CLOSED)

    face.run(test)


def test_on_message_fires_no_more(face, raw_server):
    def script(peer):
        peer.accept()
        peer.send(TEXT, b"before")
        received = peer.recv_close()
        for _ in range(100):
            peer.send(TEXT, b"after")
        peer.send(CLOSE, received.payload)

    async def test():
        ws = await face.connect(raw_server(script).url)
        got = []

        def handler(message):
            got.append(message)
            ws.Close()

        ws.OnMessage.Connect(handler)
        await face.do(ws.OnClose.Wait(5))
        assert got == ["before"]

    face.run(test)


def test_without_an_answer_tcp_is_cut(face, raw_server):
    done = threading.Event()

    def script(peer):
        peer.accept()
        peer.recv_close()
        peer.wait_for_end()
        done.set()

    async def test():
        ws = await face.connect(raw_server(script).url, close_timeout=0.3)
        start = time.monotonic()
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        assert 0.25 < time.monotonic() - start < 3
        assert ws.close_code == 1006
        assert "close_timeout" in str(ws.error)
        assert done.wait(5)

    face.run(test)


def test_a_peer_that_keeps_tcp_after_close_is_dropped(face, raw_server):
    done = threading.Event()

    def script(peer):
        peer.accept()
        peer.send(CLOSE, close_payload(1000))
        assert peer.recv_close().code == 1000
        peer.wait_for_end()
        # The client has said goodbye (FIN) but the server keeps its side: wait for the cut.
        try:
            for _ in range(200):
                peer.sock.sendall(b"x")
                time.sleep(0.02)
        except OSError:
            done.set()

    async def test():
        ws = await face.connect(raw_server(script).url, close_timeout=0.3)
        await face.do(ws.OnClose.Wait(5))
        assert (ws.close_code, ws.error) == (1000, None)
        assert done.wait(5)

    face.run(test)


def test_queued_messages_leave_before_the_close(face, raw_server):
    seen = []

    def script(peer):
        peer.accept()
        while True:
            received = peer.recv()
            if received.opcode == CLOSE:
                peer.send(CLOSE, received.payload)
                return
            seen.append(received.payload)

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        for number in range(200):
            ws.Send(str(number))
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        server.join()
        assert seen == [str(number).encode() for number in range(200)]

    face.run(test)
