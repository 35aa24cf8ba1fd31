"""Semantic 5: Send on a socket that is not open raises; a handler that raises disturbs nothing else."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sunsocket import ConnectionClosed


def test_send_after_close_raises(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        ws.Close()
        with pytest.raises(ConnectionClosed, match="clos"):
            ws.Send("too late")
        await face.do(ws.OnClose.Wait(5))
        with pytest.raises(ConnectionClosed, match="1000") as raised:
            ws.Send("far too late")
        assert raised.value.code == 1000
        assert raised.value.by_peer is False

    face.run(test)


def test_every_kind_of_message_arrives_as_it_was(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for message in ["", "a", "é€😀", "\0", "x" * 70_000, b"", b"\0\xff", bytes(range(256)) * 300]:
            await face.do(ws.Send(message))
            assert await face.do(ws.recv(5)) == message
        for message in [bytearray(b"ba"), memoryview(b"mv"), memoryview(b"a-b-c")[::2]]:
            await face.do(ws.Send(message))
            assert await face.do(ws.recv(5)) == bytes(message)
        await face.do(ws.Send("é".encode(), text=True))
        assert await face.do(ws.recv(5)) == "é"
        await face.do(ws.Send("é", text=False))
        assert await face.do(ws.recv(5)) == "é".encode()
        ws.Close()

    face.run(test)


def test_what_cannot_be_sent_is_refused_before_anything_is(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for message, error in [
            (None, TypeError), (1, TypeError), ({"a": 1}, TypeError), ([1], TypeError), ("\ud800", ValueError),
        ]:  # fmt: skip
            with pytest.raises(error):
                await face.do(ws.Send(message))
        with pytest.raises(ValueError, match="UTF-8"):
            ws.Send(b"\xff", text=True)
        ws.Send("still fine")
        assert await face.do(ws.recv(5)) == "still fine"
        ws.Close()

    face.run(test)


def test_a_handler_that_raises_is_reported_and_disturbs_nothing(face, echo, caplog):
    async def test():
        reported = []
        if face.is_async:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
        ws = await face.connect(echo.url)
        got = []

        def breaks(message):
            raise RuntimeError(f"on {message}")

        ws.OnMessage.Connect(breaks)
        ws.OnMessage.Connect(got.append)
        ws.Send("a")
        ws.Send("b")
        await face.until(lambda: got == ["a", "b"])
        if not face.is_async:
            reported.extend(record.exc_info[1] for record in caplog.records)
        assert [str(error) for error in reported] == ["on a", "on b"]
        assert all(isinstance(error, RuntimeError) and error.__traceback__ for error in reported)
        ws.Close()

    with caplog.at_level(logging.ERROR, "sunsocket"):
        face.run(test)
