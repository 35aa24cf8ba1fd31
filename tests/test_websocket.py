"""The class on both faces: names and aliases, properties, what the server sees, ping, flush."""

from __future__ import annotations

import copy
import pickle
import sys
import threading

import pytest

import sunsocket
import sunsocket.aio
from sunsocket import ConnectionClosed, State
from tests.servers.raw import CLOSE, PING, PONG, TEXT, close_payload

CLASSES = [sunsocket.WebSocket, sunsocket.aio.WebSocket]


@pytest.mark.parametrize("cls", CLASSES)
def test_aliases_are_the_same_objects(cls):
    for name, alias in [("Send", "send"), ("Close", "close"), ("OnMessage", "on_message"), ("OnClose", "on_close")]:
        assert getattr(cls, name) is getattr(cls, alias)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_socket_is_made_by_connect_alone(cls):
    for wrong in [(), ("ws://127.0.0.1/",), (None, None, None)]:
        with pytest.raises(TypeError, match=r"made by WebSocket\.connect\(url\)"):
            cls(*wrong)


def test_a_socket_gives_one_signal_object_each(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        assert ws.OnMessage is ws.OnMessage is ws.on_message
        assert ws.OnClose is ws.OnClose is ws.on_close
        assert ws.OnMessage is not ws.OnClose
        ws.Close()

    face.run(test)


def test_properties_from_open_to_closed(face, echo):
    async def test():
        ws = await face.connect(echo.url + "path?query=1")
        assert ws.url == echo.url + "path?query=1"
        assert ws.state is State.OPEN
        assert ws.remote_address == ("127.0.0.1", echo.port)
        assert ws.local_address[0] == "127.0.0.1"
        assert 0 < ws.local_address[1] < 65536
        assert (ws.close_code, ws.close_reason, ws.error, ws.subprotocol, ws.latency) == (None,) * 5
        ws.Close(4321, "later")
        assert ws.state in (State.CLOSING, State.CLOSED)
        await face.do(ws.OnClose.Wait(5))
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason, ws.error) == (4321, "later", None)
        assert ws.remote_address == ("127.0.0.1", echo.port)

    face.run(test)


def test_properties_cannot_be_set(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for name in ["url", "state", "OnMessage", "on_close", "error", "close_code", "response_headers", "anything"]:
            with pytest.raises(AttributeError):
                setattr(ws, name, None)
        ws.Close()

    face.run(test)


def test_the_repr_tells_where_and_how(face, echo):
    async def test():
        ws = await face.connect(echo.url.replace("ws://", "ws://user:secret@"))
        assert repr(ws) == f"<WebSocket {echo.url} OPEN>"
        assert repr(ws.OnMessage) == f"<Signal OnMessage of {echo.url}>"
        assert repr(ws.OnClose) == f"<Signal OnClose of {echo.url}>"
        connection = ws.OnMessage.Connect(print)
        assert repr(connection) == "<SignalConnection connected=True>"
        connection.Disconnect()
        assert repr(connection) == "<SignalConnection connected=False>"
        ws.abort()
        await face.do(ws.OnClose.Wait(5))
        assert repr(ws) == f"<WebSocket {echo.url} CLOSED>"
        assert repr(ws.state) == "<State.CLOSED: 'CLOSED'>"

    face.run(test)


def test_a_socket_is_neither_copied_nor_pickled(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled: connect again"):
                attempt(ws)
        ws.Close()

    face.run(test)


def test_a_subclass_is_what_connect_returns(echo):
    class Mine(sunsocket.WebSocket):
        pass

    with Mine.connect(echo.url) as ws:
        assert type(ws) is Mine
        ws.note = "a subclass has room for notes"


async def seen_by_the_server(face, echo, **options):
    ws = await face.connect(echo.url + "headers", **options)
    lines = []
    try:
        while True:
            lines.append(await face.do(ws.recv(5)))
    except ConnectionClosed:
        return ws, lines


def test_the_server_sees_the_headers_as_asked_and_in_their_order(face, echo):
    async def test():
        headers = [("X-First", "1"), ("X-Again", "a"), ("X-Again", "b"), ("Cookie", "a=b; c=d"), ("x-empty", "")]
        _, lines = await seen_by_the_server(face, echo, headers=headers)
        sent = [f"{name}: {value}" for name, value in headers]
        assert [line for line in lines if line.startswith(("X-", "x-", "Cookie"))] == sent
        _, lines = await seen_by_the_server(face, echo, headers={"X-Mapping": "yes"})
        assert "X-Mapping: yes" in lines
        # The request's own lines, each once.
        for name in [
            "Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "User-Agent",
            "Sec-WebSocket-Extensions",
        ]:  # fmt: skip
            assert sum(line.startswith(name + ": ") for line in lines) == 1, name
        assert not any(line.startswith(("Origin", "Authorization")) for line in lines)
        _, lines = await seen_by_the_server(face, echo, compression=None)
        assert not any(line.startswith("Sec-WebSocket-Extensions") for line in lines)

    face.run(test)


def test_none_for_headers_and_subprotocols_adds_no_line(face, echo):
    async def test():
        _, usual = await seen_by_the_server(face, echo)
        _, lines = await seen_by_the_server(face, echo, headers=None, subprotocols=None)
        assert [line.split(":")[0] for line in lines] == [line.split(":")[0] for line in usual]

    face.run(test)


def test_origin_and_user_agent(face, echo):
    async def test():
        _, lines = await seen_by_the_server(face, echo)
        assert f"User-Agent: sunsocket/{sunsocket.__version__}" in lines
        _, lines = await seen_by_the_server(face, echo, origin="https://here.example", user_agent="mine/1")
        assert "Origin: https://here.example" in lines
        assert "User-Agent: mine/1" in lines
        _, lines = await seen_by_the_server(face, echo, user_agent=None)
        assert not any(line.startswith("User-Agent") for line in lines)
        _, lines = await seen_by_the_server(face, echo, headers={"user-agent": "header/1"})
        assert [line for line in lines if line.lower().startswith("user-agent")] == ["user-agent: header/1"]

    face.run(test)


def test_user_and_password_of_the_url_are_credentials(face, raw_server):
    seen = []

    def script(peer):
        peer.accept()
        seen.append(peer.header("Authorization"))
        peer.finish()

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url.replace("ws://", "ws://user:pass%20word@"))
        assert ws.url == server.url
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        assert seen == ["Basic dXNlcjpwYXNzIHdvcmQ="]

    face.run(test)


def test_subprotocols_are_offered_and_the_choice_is_known(face, echo):
    async def test():
        ws, lines = await seen_by_the_server(face, echo, subprotocols=["superchat", "chat"])
        assert "Sec-WebSocket-Protocol: superchat, chat" in lines
        assert ws.subprotocol == "superchat"
        ws = await face.connect(echo.url)
        assert ws.subprotocol is None
        ws.Close()

    face.run(test)


def test_the_answer_s_headers_are_kept_in_their_order(face, raw_server):
    def script(peer):
        peer.accept(b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nX-Spaces:   trimmed  \r\n")
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        assert [pair for pair in ws.response_headers if pair[0].lower() in ("set-cookie", "x-spaces")] == [
            ("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("X-Spaces", "trimmed"),
        ]  # fmt: skip
        ws.Close()

    face.run(test)


def test_a_ping_measures_the_round_trip(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        seconds = await face.do(ws.ping())
        assert 0 < seconds < 5
        assert ws.latency == pytest.approx(seconds)
        assert 0 < await face.do(ws.ping(b"x" * 125, timeout=5)) < 5
        assert 0 < await face.do(ws.ping("text")) < 5
        ws.Close()

    face.run(test)


def test_a_ping_carries_its_payload(face, raw_server):
    got = []

    def script(peer):
        peer.accept()
        for _ in range(3):
            received = peer.recv()
            got.append((received.opcode, received.payload))
            peer.send(PONG, received.payload)
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        await face.do(ws.ping(b"mine", timeout=5))
        await face.do(ws.ping(timeout=5))
        await face.do(ws.ping(timeout=5))
        assert got[0] == (PING, b"mine")
        assert got[1][1] != got[2][1]
        ws.Close()

    face.run(test)


def test_what_cannot_be_pinged_is_refused_before_anything_is_sent(face, raw_server):
    got = []

    def script(peer):
        peer.accept()
        got.append(peer.recv().opcode)

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        for payload, timeout, error in [
            (b"x" * 126, None, ValueError), ("é" * 63, None, ValueError), (5, None, TypeError), (None, None, TypeError),
            (b"", -1, ValueError), (b"", float("nan"), ValueError), (b"", "1", TypeError),
        ]:  # fmt: skip
            with pytest.raises(error):
                await face.do(ws.ping(payload, timeout=timeout))
        ws.Close()
        server.join()
        assert got == [CLOSE]

    face.run(test)


def test_a_pong_that_does_not_come(face, raw_server):
    def script(peer):
        peer.accept()
        peer.recv()
        peer.send(TEXT, b"no pong")
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        with pytest.raises(TimeoutError, match="no pong"):
            await face.do(ws.ping(timeout=0.05))
        assert ws.state is State.OPEN
        assert await face.do(ws.recv(5)) == "no pong"
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        with pytest.raises(ConnectionClosed):
            await face.do(ws.ping(timeout=5))

    face.run(test)


def test_a_ping_ends_with_the_connection(face, raw_server):
    def script(peer):
        peer.accept()
        peer.recv()
        peer.send(CLOSE, close_payload(1001))

    async def test():
        ws = await face.connect(raw_server(script).url)
        with pytest.raises(ConnectionClosed) as raised:
            await face.do(ws.ping())
        assert raised.value.code == 1001

    face.run(test)


def test_flush_hands_everything_to_the_system(face, raw_server):
    got = []
    all_there = threading.Event()

    def script(peer):
        peer.accept()
        while len(got) < 100:
            got.append(peer.recv().payload)
        all_there.set()
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        for number in range(100):
            ws.Send(str(number))
        # Nothing but flush may be needed: the loop does not run meanwhile.
        assert ws.flush() is None
        assert all_there.wait(10)
        assert got == [str(number).encode() for number in range(100)]
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        assert ws.flush() is None

    face.run(test)


def test_a_long_text_is_a_str_like_any_other(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for text in ("a" * 4096, "0123456789" * 500, "x" * 70_000, "y" * 69_999 + "\u00e9"):
            ws.Send(text)
            received = await face.do(ws.recv(5))
            assert received == text
            assert hash(received) == hash(text)
            assert (received.isascii(), received.encode()) == (text.isascii(), text.encode())
            assert sys.getsizeof(received) == sys.getsizeof(text.encode().decode())
            assert {text: 1}[received] == 1
            assert received[:10] + "\u20ac" + received[10:] == text[:10] + "\u20ac" + text[10:]
        ws.Close()

    face.run(test)
