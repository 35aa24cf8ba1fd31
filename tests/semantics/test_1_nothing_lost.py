"""Semantic 1: nothing is lost; what nobody takes is held, in order and within a bound."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from tests.servers.raw import BINARY, TEXT, frame


def test_messages_are_held_for_the_first_listener(face, echo):
    async def test():
        ws = await face.connect(echo.url + "count/5")
        # A pong comes behind what the server sent before it: that is held now.
        assert await face.do(ws.ping(timeout=5)) > 0
        got = []
        ws.OnMessage.Connect(got.append)
        await face.until(lambda: len(got) == 5)
        assert got == ["0", "1", "2", "3", "4"]
        ws.Close()

    face.run(test)


def test_held_messages_go_to_wait_and_recv_in_order(face, echo):
    async def test():
        ws = await face.connect(echo.url + "count/4")
        assert await face.do(ws.OnMessage.Wait(5)) == "0"
        assert await face.do(ws.recv(5)) == "1"
        assert await face.do(ws.recv(timeout=5)) == "2"
        assert await face.do(ws.OnMessage.Wait(timeout=5)) == "3"
        ws.Close()

    face.run(test)


def test_messages_in_the_segment_of_the_101_count(face, raw_server):
    def script(peer):
        peer.accept(send=frame(TEXT, b"early") + frame(BINARY, b"bird"))
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        assert await face.do(ws.recv(5)) == "early"
        assert await face.do(ws.recv(5)) == b"bird"
        ws.Close()

    face.run(test)


def test_a_full_hold_pauses_reading_when_somebody_pulls(face, raw_server):
    count = 30_000
    sent = threading.Event()

    def script(peer):
        peer.accept(send=frame(TEXT, b"first"))
        peer.recv()
        for number in range(count):
            peer.sock.sendall(frame(TEXT, b"%d " % number + b"x" * 1000))
        sent.set()
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url, max_held=(10, 1 << 20))
        assert await face.do(ws.recv(5)) == "first"
        await face.do(ws.Send("go"))
        for number in range(100):
            assert (await face.do(ws.recv(5))).split()[0] == str(number)
        # 30 MB cannot be in flight: the server is held up, because we do not read on.
        assert not sent.is_set()
        for number in range(100, count):
            assert (await face.do(ws.recv(5))).split()[0] == str(number)
        assert sent.wait(5)
        ws.Close()

    face.run(test)


def test_wait_pulls_so_nothing_is_dropped_between_two_of_them(face, raw_server):
    count = 500
    answered = threading.Event()

    def script(peer):
        peer.accept()
        peer.recv()
        for number in range(count):
            peer.send(TEXT, b"%d" % number)
        answered.set()
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url, max_held=(10, 1 << 20))
        ws.Send("go")
        assert await face.do(ws.OnMessage.Wait(5)) == "0"
        # All of it is on its way now, and nobody waits.
        await face.until(answered.is_set)
        await asyncio.sleep(0.05)
        for number in range(1, count):
            assert await face.do(ws.OnMessage.Wait(5)) == str(number)
        ws.Close()

    face.run(test)


def test_a_program_that_only_sends_does_not_stall_and_loses_the_oldest(face, raw_server, caplog):
    count, size = 20_000, 1000

    def script(peer):
        peer.accept()
        # More than the system's buffers take: this blocks until the client reads, and the client's own messages are not
        # read before it is done.
        for number in range(count):
            peer.sock.sendall(frame(TEXT, b"%d " % number + b"x" * size))
        for _ in range(count):
            peer.recv()
        peer.send(TEXT, b"end")
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url, max_held=(10, 1 << 20), compression=None)
        for _ in range(count):
            await face.do(ws.Send("y" * size))
        got = []
        while not got or got[-1] != "end":
            got.append((await face.do(ws.recv(30))).split()[0])
        # What is left is the end of it, without a hole but for what was dropped at once.
        assert len(got) < count
        assert got[:-1] == sorted(got[:-1], key=int)
        await face.until(lambda: any("dropped" in record.message for record in caplog.records))
        ws.Close()

    with caplog.at_level(logging.WARNING, "sunsocket"):
        face.run(test)
    assert sum("dropped" in record.message for record in caplog.records) == 1


def test_a_burst_right_behind_the_opening_handshake_is_not_lost(face, raw_server):
    count = 50_000
    burst = b"".join(frame(TEXT, b"%d" % number) for number in range(count))

    def script(peer):
        peer.accept(send=burst)
        peer.finish()

    async def test(takes):
        ws = await face.connect(raw_server(script).url)
        # The next line of the program takes a moment: long enough for much more than the hold to arrive.
        await asyncio.sleep(0.3)
        got = []
        if takes == "handler":
            ws.OnMessage.Connect(got.append)
            await face.until(lambda: len(got) == count)
        else:
            while len(got) < count:
                got.append(await face.do(ws.recv(10)))
        assert got == [str(number) for number in range(count)]
        ws.Close()

    for takes in ("handler", "recv"):
        face.run(lambda takes=takes: test(takes))


def test_a_handler_that_goes_leaves_the_rest_for_the_next(face, echo):
    async def test():
        ws = await face.connect(echo.url + "count/6")
        first = []
        rest = []

        def take_two(message):
            first.append(message)
            if len(first) == 2:
                connection.Disconnect()

        connection = ws.OnMessage.Connect(take_two)
        await face.until(lambda: len(first) == 2)
        ws.OnMessage.Connect(rest.append)
        await face.until(lambda: len(rest) == 4)
        assert first + rest == ["0", "1", "2", "3", "4", "5"]
        ws.Close()

    face.run(test)


def test_messages_from_before_the_servers_close_can_be_read_after_it(face, echo):
    async def test():
        ws = await face.connect(echo.url + "close")
        await face.do(ws.OnClose.Wait(5))
        assert [await face.do(ws.recv(1)) for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(Exception, match="4000") as raised:
            await face.do(ws.recv(1))
        assert raised.value.code == 4000

    face.run(test)
