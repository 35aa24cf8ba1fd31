"""Subclasses: what ``connect`` of one returns, with an ``__init__`` of its own."""

from __future__ import annotations

import pytest

import sunsocket
import sunsocket.aio
from sunsocket import ConnectError, State
from tests.servers.raw import CLOSE, TEXT, close_payload


def classes(face):
    return sunsocket.aio.WebSocket if face.is_async else sunsocket.WebSocket


def test_its_own_init_runs_once_the_connection_is_open(face, raw_server):
    def script(peer):
        peer.accept(send=b"\x81\x05early")
        peer.send(TEXT, b"late")
        peer.finish()

    async def test():
        class Feed(classes(face)):
            kind = "feed"

            def __init__(self):
                super().__init__()
                self.seen = []
                self.began = (self.state, self.url)
                self.OnMessage.Connect(self.on_text)
                self.OnClose.Connect(lambda: self.seen.append("closed"))

            def on_text(self, text):
                self.seen.append(text)

            def Send(self, message):
                return super().Send(f"{self.kind} {message}")

        server = raw_server(script)
        ws = await face.do(Feed.connect(server.url))
        assert type(ws) is Feed
        assert ws.began == (State.OPEN, server.url)
        await face.until(lambda: ws.seen == ["early", "late"])
        ws.Send("x")
        ws.Close()
        await face.do(ws.wait_closed(5))
        await face.until(lambda: ws.seen[-1] == "closed")

    face.run(test)


def test_it_may_have_slots_and_defaults(face, echo):
    async def test():
        class Counted(classes(face)):
            __slots__ = ("count",)

            def __init__(self, count=3):
                self.count = count

        ws = await face.do(Counted.connect(echo.url))
        assert ws.count == 3
        assert not hasattr(ws, "__dict__")
        with pytest.raises(AttributeError):
            ws.other = 1
        ws.Close()

    face.run(test)


def test_an_init_that_raises_closes_the_connection(face, raw_server):
    codes = []

    def script(peer):
        peer.accept()
        codes.append(peer.recv_close().code)
        peer.send(CLOSE, close_payload(1001))

    async def test():
        class Broken(classes(face)):
            def __init__(self):
                raise LookupError("mine")

        class Wants(classes(face)):
            def __init__(self, name):
                raise AssertionError("never called")

        server = raw_server(script)
        with pytest.raises(LookupError, match="mine") as raised:
            await face.do(Broken.connect(server.url))
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
            await face.do(Wants.connect(server.url))
        # Though the traceback still holds the socket.
        server.join()
        assert codes == [1001, 1001]
        assert raised.value

    face.run(test)


def test_it_does_not_run_where_nothing_opened(face):
    async def test():
        class Mine(classes(face)):
            def __init__(self):
                raise AssertionError("never called")

        with pytest.raises(ConnectError):
            await face.do(Mine.connect("ws://127.0.0.1:1/"))

    face.run(test)


def test_it_is_made_by_connect_alone(face):
    class Mine(classes(face)):
        def __init__(self, url):
            raise AssertionError("never called")

    with pytest.raises(TypeError, match=r"a Mine is made by Mine\.connect\(url\)"):
        Mine("ws://127.0.0.1/")
