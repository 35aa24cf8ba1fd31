"""Which error says how a connection ended: ``ConnectionLost`` where there was no closing handshake, on both faces."""

from __future__ import annotations

import gc
import socket
import struct
import weakref

import pytest

import sunsocket
from sunsocket import ConnectionClosed, ConnectionLost, MessageTooBig, ProtocolError, State
from tests.servers.raw import CLOSE, TEXT, close_payload


def reset(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()


def drop(peer):
    """Nothing more: the end of the script drops TCP."""


def silence(peer):
    peer.wait_for_end()


def violate(peer):
    peer.send(3, b"x")
    peer.recv_close()


def lie(peer):
    peer.send(TEXT, b"\xff")
    peer.recv_close()


def flood(peer):
    peer.send(TEXT, b"x" * 11)
    peer.recv_close()


#: What the server does after the opening handshake, options, the close code, and what ``error`` is.
LOST = {
    "a reset": (reset, {}, 1006, ConnectionLost),
    "an unexpected end": (drop, {}, 1006, ConnectionLost),
    "a lost ping": (silence, {"ping_interval": 0.05, "ping_timeout": 0.05}, 1006, ConnectionLost),
    "a broken frame": (violate, {}, 1002, ProtocolError),
    "text that is none": (lie, {}, 1007, ProtocolError),
    "a message that is too big": (flood, {"max_message_size": 10}, 1009, MessageTooBig),
}


async def each(face, ws):
    """Everything that raises because a connection has ended, by name."""

    async def iterate():
        if face.is_async:
            async for _ in ws:
                pass
        else:
            for _ in ws:
                pass

    async def stream():
        if face.is_async:
            async for _ in ws.recv_streaming():
                pass
        else:
            for _ in ws.recv_streaming():
                pass

    calls = {
        "recv": ws.recv,
        "recv with a time-out": lambda: ws.recv(5),
        "recv_many": ws.recv_many,
        "OnMessage.Wait": ws.OnMessage.Wait,
        "ping": ws.ping,
        "Send": lambda: ws.Send("x"),
        "Send in pieces": lambda: ws.Send(iter(["x"])),
        "iteration": iterate,
        "recv_streaming": stream,
    }
    for name, call in calls.items():
        try:
            result = call()
            await (result if name in ("iteration", "recv_streaming") else face.do(result))
        except ConnectionClosed as closed:
            yield name, closed
        else:
            yield name, None


@pytest.mark.parametrize("how", LOST)
def test_what_ends_without_a_closing_handshake_is_lost(face, raw_server, how):
    act, options, code, kind = LOST[how]

    def script(peer):
        peer.accept()
        act(peer)

    async def test():
        ws = await face.connect(raw_server(script).url, **options)
        # Who waits when it happens, and all who come later.
        with pytest.raises(ConnectionLost) as raised:
            await face.do(ws.recv())
        assert raised.value.code == code
        await face.do(ws.wait_closed(10))
        async for name, closed in each(face, ws):
            assert type(closed) is ConnectionLost, name
            assert (closed.code, closed.reason, closed.by_peer) == (code, "", False), name
            assert closed.__cause__ is ws.error, name
        assert type(ws.error) is kind

    face.run(test)


def test_a_close_without_an_answer_is_lost(face, raw_server):
    def script(peer):
        peer.accept()
        peer.wait_for_end()

    async def test():
        for end in ("Close", "abort"):
            ws = await face.connect(raw_server(script).url, close_timeout=0.05)
            getattr(ws, end)()
            await face.do(ws.wait_closed(10))
            async for name, closed in each(face, ws):
                assert type(closed) is ConnectionLost, (end, name)
            assert type(ws.error) is ConnectionLost

    face.run(test)


@pytest.mark.parametrize("code", [1000, 4000])
@pytest.mark.parametrize("who", ["server", "client"])
def test_after_a_closing_handshake_it_is_closed_and_not_lost(face, raw_server, code, who):
    def script(peer):
        peer.accept()
        if who == "server":
            peer.send(CLOSE, close_payload(code))
            peer.recv_close()
        else:
            peer.send(CLOSE, close_payload(peer.recv_close().code))

    async def test():
        ws = await face.connect(raw_server(script).url)
        if who == "client":
            ws.Close(code)
        await face.do(ws.wait_closed(10))
        async for name, closed in each(face, ws):
            if name == "iteration" and code == 1000:
                assert closed is None
                continue
            assert type(closed) is ConnectionClosed, name
            assert (closed.code, closed.by_peer, closed.__cause__) == (code, who == "server", None), name
        assert ws.error is None

    face.run(test)


def test_who_waits_in_a_task_or_thread_is_told_the_same(face, raw_server):
    """A ping, room and a piece are waited for in ways of their own."""

    def script(peer):
        peer.accept()
        peer.recv()
        reset(peer)

    async def test():
        ws = await face.connect(raw_server(script).url)
        with pytest.raises(ConnectionLost) as raised:
            await face.do(ws.ping())
        assert raised.value.__cause__ is ws.error

    face.run(test)


def test_the_error_is_one_object(face, raw_server):
    def script(peer):
        peer.accept()
        peer.recv()

    async def test():
        ws = await face.connect(raw_server(script).url)
        assert ws.error is None
        ws.Send("drop me")
        await face.do(ws.wait_closed(10))
        with pytest.raises(ConnectionLost) as raised:
            await face.do(ws.recv())
        cause = raised.value.__cause__
        del raised
        assert cause is ws.error
        ws.error.add_note("noted")
        number = id(cause)
        del cause
        gc.collect()
        assert id(ws.error) == number
        assert ws.error.__notes__ == ["noted"]
        assert isinstance(ws.error, sunsocket.Error)
        assert ws.state is State.CLOSED

    face.run(test)


def test_an_error_that_was_raised_keeps_no_socket(face, raw_server):
    async def test():
        async def use():
            ws = await face.connect(raw_server(lambda peer: peer.accept()).url)
            await face.do(ws.wait_closed(10))
            try:
                raise ws.error
            except ConnectionLost:
                return weakref.ref(ws)

        reference = await use()
        gc.collect()
        assert reference() is None

    face.run(test)
