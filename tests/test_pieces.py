"""Messages in pieces on both faces: senders that meet, and fragments that say nothing."""

from __future__ import annotations

import asyncio
import threading

import pytest

import sunsocket
import sunsocket.aio
from tests.servers.raw import CLOSE, PING, PONG, TEXT

LOOP_FACES = ["asyncio", "uvloop"]


@pytest.fixture
def joined(raw_server):
    """A server that notes each message with its number of frames, and its address."""
    messages = []

    def script(peer):
        peer.accept()
        parts = []
        while (received := peer.recv()).opcode in (0, TEXT):
            parts.append(received.payload)
            if received.fin:
                messages.append(b"".join(parts))
                parts = []
                if len(messages) == 2:
                    peer.send(TEXT, b"both")
        peer.send(received.opcode, received.payload)

    return raw_server(script).url, messages


def test_a_second_thread_s_pieces_wait_for_the_first_one_s(joined):
    url, messages = joined
    waits = threading.Event()

    class Watched(sunsocket.WebSocket):
        __slots__ = ()

        def _wait_pieces(self):
            waits.set()
            super()._wait_pieces()

    with Watched.connect(url) as ws:
        begun, others = threading.Event(), threading.Thread(target=lambda: begun.wait(10) and ws.Send(iter("xyz")))

        def first():
            yield "a"
            begun.set()
            assert waits.wait(10)
            yield "b"

        others.start()
        ws.Send(first())
        assert ws.recv(10) == "both"
        others.join(10)
    assert messages == [b"ab", b"xyz"]


@pytest.mark.parametrize("face", LOOP_FACES, indirect=True)
def test_a_second_task_s_pieces_wait_for_the_first_one_s(face, joined):
    url, messages = joined

    async def test():
        waits = asyncio.Event()

        class Watched(sunsocket.aio.WebSocket):
            __slots__ = ()

            def _add_room(self, future):
                waits.set()
                super()._add_room(future)

        async def first():
            yield "a"
            others.append(asyncio.ensure_future(ws.Send(iter("xyz"))))
            await waits.wait()
            yield "b"

        others = []
        async with Watched.connect(url) as ws:
            await ws.Send(first())
            assert await ws.recv(10) == "both"
            await others[0]

    face.run(test)
    assert messages == [b"ab", b"xyz"]


@pytest.mark.parametrize("face", LOOP_FACES, indirect=True)
def test_a_message_that_ends_just_before_the_next_one_would_wait_for_it_is_not_waited_for(face, joined):
    url, messages = joined

    async def test():
        class Unlucky(sunsocket.aio.WebSocket):
            """Finds another message in pieces under way, which another thread has ended a moment later."""

            __slots__ = ()

            def _begin_pieces(self, *args):
                refused.append(True)
                return len(refused) > 1 and super()._begin_pieces(*args)

        refused = []
        async with Unlucky.connect(url) as ws:
            await ws.Send(iter("abc"))
            assert len(refused) == 2
            await ws.Send("x")
            assert await ws.recv(10) == "both"

    face.run(test)
    assert messages == [b"abc", b"x"]


def test_empty_fragments_are_no_pieces(face, raw_server):
    go = threading.Event()

    def script(peer):
        peer.accept()
        peer.send(TEXT, b"all of it", fin=False)
        # The client has that by itself before it gets an end that adds nothing.
        assert go.wait(10)
        peer.send(0, b"", fin=False)
        peer.send(0, b"")
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        stream = ws.recv_streaming(10)
        assert (await anext(stream) if face.is_async else next(stream)) == "all of it"
        go.set()
        assert ([piece async for piece in stream] if face.is_async else list(stream)) == []
        ws.Close()

    face.run(test)


def test_a_message_in_pieces_inside_another_one_is_refused_and_whole_ones_follow(face, joined):
    url, messages = joined

    async def test():
        ws = await face.connect(url)

        def pieces():
            yield "a"
            ws.Send("whole")
            with pytest.raises(RuntimeError, match="send it afterwards"):
                ws.Send(["x", "y"])
            yield "b"

        async def async_pieces():
            yield "a"
            await ws.Send("whole")
            with pytest.raises(RuntimeError, match="send it afterwards"):
                await ws.Send(["x", "y"])
            yield "b"

        await face.do(ws.Send(async_pieces() if face.is_async else pieces()))
        await face.do(ws.Send(["c", "d"]))
        ws.Close()
        await face.do(ws.OnClose.Wait(5))

    face.run(test)
    assert messages == [b"ab", b"whole", b"cd"]


def test_a_ping_between_two_pieces_has_its_pong_between_them(face, raw_server):
    seen = []
    answered = threading.Event()

    def script(peer):
        peer.accept()
        while (received := peer.recv()).opcode != CLOSE:
            seen.append((received.opcode, received.payload, received.fin))
            if received.payload == b"one":
                peer.send(PING, b"between")
            if received.opcode == PONG:
                answered.set()
        peer.send(CLOSE, received.payload)

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)

        def pieces():
            yield "one"
            assert answered.wait(10)
            yield "two"

        async def async_pieces():
            yield "one"
            await face.until(answered.is_set)
            yield "two"

        await face.do(ws.Send(async_pieces() if face.is_async else pieces()))
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        server.join()

    face.run(test)
    assert seen == [(TEXT, b"one", False), (PONG, b"between", True), (0, b"two", False), (0, b"", True)]


def test_a_loop_over_the_pieces_that_is_left_early_leaves_the_next_message_to_the_next_one(face, raw_server):
    def script(peer):
        peer.accept()
        for message in (b"first", b"second", b"third"):
            peer.send(TEXT, message, fin=False)
            peer.send(0, b" and the rest")
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        for begins in ("first", "second"):
            # Nothing is awaited between the end of one loop and the begin of the next.
            if face.is_async:
                async for piece in ws.recv_streaming(10):
                    assert piece.startswith(begins)
                    break
            else:
                for piece in ws.recv_streaming(10):
                    assert piece.startswith(begins)
                    break
        # The generators that were dropped are closed by the loop meanwhile, which ends nobody else's stream.
        got = []
        stream = ws.recv_streaming(10)
        got.append(await anext(stream) if face.is_async else next(stream))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        got += [piece async for piece in stream] if face.is_async else list(stream)
        assert "".join(got) == "third and the rest"
        ws.Close()

    face.run(test)
