"""Slow links: bytes that move are life, in either direction, and closing loses nothing that was sent before.

Each transfer takes several times as long as the timeouts that it must survive, and each pause in it is a small part of
them.
"""

from __future__ import annotations

import threading
import time

import pytest

from sunsocket import State
from tests.servers.raw import BINARY, CLOSE, PING, PONG, TEXT
from tests.servers.slow import slowed

#: What little the kernel holds for a server that does not read.
RECEIVE_BUFFER = 16 << 10
PIECE = 100_000
#: Seconds. A pause is a twentieth of the timeout, and sixty of them are three times as long as the two together.
KEEP_ALIVE = {"ping_interval": 0.2, "ping_timeout": 1.2}
PORTION, PAUSE = 16 << 10, 0.06


def test_a_large_message_may_take_longer_than_ping_timeout_to_arrive(face, raw_server):
    # The pong stands behind the message: nothing but the message's bytes says that the server is alive.
    size = 70 * PORTION

    def script(peer):
        peer.accept()
        assert peer.recv().opcode == PING
        slowed(peer, PORTION, PAUSE).send(BINARY, bytes(size))
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url, **KEEP_ALIVE)
        assert len(await face.do(ws.recv(timeout=30))) == size
        assert ws.state is State.OPEN
        ws.Close()
        await face.do(ws.OnClose.Wait(10))
        assert ws.close_code == 1000

    face.run(test)


def test_a_ping_behind_unsent_messages_is_not_due_before_it_has_left(face, raw_server):
    # All the while the server reads, and answers each ping as soon as it comes to it.
    count = 12

    def script(peer):
        peer.accept()
        slow, messages = slowed(peer, PORTION, PAUSE), 0
        while messages < count:
            received = slow.recv()
            if received.opcode == PING:
                peer.send(PONG, received.payload)
            else:
                assert len(received.payload) == PIECE
                messages += 1
        peer.send(TEXT, b"all")
        # What is left to be read is short.
        peer.buffer = slow.buffer
        peer.finish()

    async def test():
        server = raw_server(script, receive_buffer=RECEIVE_BUFFER)
        ws = await face.connect(server.url, compression=None, **KEEP_ALIVE)
        for _ in range(count):
            await face.do(ws.Send(bytes(PIECE)))
        assert await face.do(ws.recv(timeout=30)) == "all"
        assert ws.state is State.OPEN
        ws.Close()
        await face.do(ws.OnClose.Wait(10))
        assert ws.close_code == 1000

    face.run(test)


def test_a_link_on_which_nothing_moves_is_lost(face, raw_server):
    released = threading.Event()

    def script(peer):
        peer.accept()
        released.wait(30)

    async def test():
        server = raw_server(script, receive_buffer=RECEIVE_BUFFER)
        ws = await face.connect(server.url, compression=None, ping_interval=0.1, ping_timeout=0.3)
        ws.Send(bytes(10 * PIECE))
        await face.do(ws.OnClose.Wait(20))
        released.set()
        assert ws.close_code == 1006
        assert "ping_timeout" in str(ws.error)

    face.run(test)


@pytest.mark.parametrize("timeout", [0.2, 5, None])
def test_pings_are_as_frequent_as_ping_interval_says(face, raw_server, timeout):
    enough = 8
    counted = threading.Event()

    def script(peer):
        peer.accept()
        for _ in range(enough):
            received = peer.recv()
            assert received.opcode == PING
            peer.send(PONG, received.payload)
        counted.set()
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url, ping_interval=0.1, ping_timeout=timeout)
        await face.until(counted.is_set, timeout=15)
        assert ws.state is State.OPEN
        ws.Close()
        await face.do(ws.OnClose.Wait(10))

    face.run(test)


def test_what_was_sent_before_close_arrives_over_a_slow_link(face, raw_server):
    # It takes several times close_timeout, which counts from when the last byte moved.
    count, seen = 20, []

    def script(peer):
        peer.accept()
        slow = slowed(peer, 2 * PORTION, PAUSE)
        while (received := slow.recv()).opcode != CLOSE:
            seen.append(len(received.payload))
        seen.append(received.code)
        peer.send(CLOSE, received.payload)

    async def test():
        server = raw_server(script, receive_buffer=RECEIVE_BUFFER)
        ws = await face.connect(server.url, compression=None, close_timeout=0.6)
        for _ in range(count):
            await face.do(ws.Send(bytes(PIECE)))
        ws.Close()
        await face.do(ws.OnClose.Wait(30))
        server.join()
        assert seen == [PIECE] * count + [1000]
        assert (ws.close_code, ws.error) == (1000, None)

    face.run(test)


def test_close_waits_for_the_end_of_a_message_that_still_arrives(face, raw_server):
    begun = threading.Event()

    def script(peer):
        peer.accept()
        begun.set()
        # The answer to the Close cannot come before the message's end.
        slowed(peer, PORTION, PAUSE).send(BINARY, bytes(40 * PORTION))
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url, close_timeout=0.6)
        await face.until(begun.is_set)
        ws.Close()
        await face.do(ws.OnClose.Wait(30))
        assert (ws.close_code, ws.error) == (1000, None)

    face.run(test)


def test_close_gives_up_when_nothing_moves_any_more(face, raw_server):
    released = threading.Event()

    def script(peer):
        peer.accept()
        slow = slowed(peer, PORTION, PAUSE)
        for _ in range(3):
            slow.recv()
        released.wait(30)

    async def test():
        server = raw_server(script, receive_buffer=RECEIVE_BUFFER)
        ws = await face.connect(server.url, compression=None, close_timeout=0.5)
        ws.Send(bytes(10 * PIECE))
        start = time.monotonic()
        ws.Close()
        await face.do(ws.OnClose.Wait(20))
        released.set()
        assert time.monotonic() - start >= 0.5
        assert ws.close_code == 1006
        assert "close_timeout" in str(ws.error)

    face.run(test)
