"""Compression (RFC 7692) and messages in pieces, on each face, against a real server."""

from __future__ import annotations

import asyncio
import os
import struct
import threading
import zlib

import pytest

from sunsocket import ConnectionClosed, Deflate, WebSocket
from tests.servers.raw import BINARY, CLOSE, TEXT, frame


def test_compression_is_agreed_by_default_and_can_be_left_out(face, deflate_echo):
    async def test():
        ws = await face.connect(deflate_echo.url)
        assert ws.compression is not None
        ws.Close()
        plain = await face.connect(deflate_echo.url, compression=None)
        assert plain.compression is None
        plain.Close()

    face.run(test)


@pytest.mark.parametrize(
    "offer",
    [
        "deflate",
        Deflate(level=1, memory_level=1),
        Deflate(client_window_bits=9, server_window_bits=9),
        Deflate(client_context_takeover=False, server_context_takeover=False),
        Deflate(level=9, memory_level=9, client_context_takeover=False, server_window_bits=12),
    ],
)
def test_every_message_comes_back_whatever_was_agreed(face, deflate_echo, offer):
    async def test():
        ws = await face.connect(deflate_echo.url, compression=offer)
        if isinstance(offer, Deflate):
            assert ws.compression.server_window_bits <= offer.server_window_bits
            assert ws.compression.client_context_takeover is offer.client_context_takeover
        for message in ["", "a", "Hello " * 1000, b"\0" * 100_000, os.urandom(70_000), "é€😀" * 5000]:
            for compress in (None, True, False):
                await face.do(ws.Send(message, compress=compress))
                assert await face.do(ws.recv(5)) == message
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        assert ws.error is None

    face.run(test)


def test_a_small_message_goes_as_it_is_and_a_large_one_compressed(face, raw_server):
    seen = []

    def script(peer):
        peer.accept(b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
        assert "client_max_window_bits" in peer.header("Sec-WebSocket-Extensions")
        for _ in range(3):
            first, _ = peer.read(2)
            peer.buffer = bytes([first, _]) + peer.buffer
            seen.append((bool(first & 0x40), peer.recv().payload))
        peer.finish()

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)
        await face.do(ws.Send("small"))
        await face.do(ws.Send("small", compress=True))
        await face.do(ws.Send("large" * 1000))
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        server.join()

    face.run(test)
    assert [compressed for compressed, _ in seen] == [False, True, True]
    inflate = zlib.decompressobj(-15)
    assert inflate.decompress(seen[1][1] + b"\0\0\xff\xff") == b"small"
    assert inflate.decompress(seen[2][1] + b"\0\0\xff\xff") == b"large" * 1000


@pytest.mark.parametrize("size", [1000, 1001])
def test_the_limit_counts_inflated_bytes_exactly(face, raw_server, size):
    codes = []

    def script(peer):
        peer.accept(b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
        deflate = zlib.compressobj(wbits=-15)
        payload = deflate.compress(b"x" * size) + deflate.flush(zlib.Z_SYNC_FLUSH)
        peer.sock.sendall(b"\xc1" + bytes([len(payload) - 4]) + payload[:-4])
        codes.append(peer.recv_close().code)
        peer.send(CLOSE, struct.pack("!H", codes[0]))

    async def test():
        ws = await face.connect(raw_server(script).url, max_message_size=1000)
        if size == 1000:
            assert await face.do(ws.recv(5)) == "x" * 1000
            ws.Close()
            await face.do(ws.OnClose.Wait(5))
        else:
            with pytest.raises(ConnectionClosed, match="max_message_size"):
                await face.do(ws.recv(5))
        await face.until(lambda: bool(codes))

    face.run(test)
    assert codes == [1000 if size == 1000 else 1009]


def test_what_cannot_be_offered_is_refused():
    for compression, error in [
        ("gzip", TypeError), (True, TypeError), (Deflate(level=10), ValueError), (Deflate(level=True), TypeError),
        (Deflate(memory_level=0), ValueError), (Deflate(client_window_bits=8), ValueError),
        (Deflate(server_window_bits=16), ValueError), (Deflate(server_window_bits="12"), TypeError),
    ]:  # fmt: skip
        with pytest.raises(error, match="compression"):
            WebSocket.connect("ws://127.0.0.1:1/", compression=compression)


# ---- messages in pieces


@pytest.mark.parametrize("compress", [None, True, False])
def test_an_iterable_is_one_message(face, deflate_echo, compress):
    async def test():
        ws = await face.connect(deflate_echo.url)
        for pieces in (["a", "", "é" * 2000, "z"], [b"1", bytearray(b"2"), memoryview(b"3")], ("only",), [""]):
            await face.do(ws.Send(iter(pieces), compress=compress))
            expected = "".join(pieces) if isinstance(pieces[0], str) else b"".join(pieces)
            assert await face.do(ws.recv(5)) == expected
        await face.do(ws.Send(iter([])))
        await face.do(ws.Send([b"t", b"ext"], text=True))
        assert await face.do(ws.recv(5)) == "text"
        ws.Close()

    face.run(test)


def test_an_asynchronous_iterable_is_sent_as_it_comes(face, echo):
    if not face.is_async:
        with pytest.raises(TypeError, match="aio"):
            WebSocket.connect(echo.url).Send(_numbers())
        return

    async def test():
        ws = await face.connect(echo.url)
        await ws.Send(_numbers())
        assert await ws.recv(5) == "0123"
        ws.Close()

    face.run(test)


async def _numbers():
    for number in range(4):
        await asyncio.sleep(0)
        yield str(number)


def test_what_others_send_meanwhile_follows_the_message(face, raw_server):
    seen = []

    def script(peer):
        peer.accept()
        while (received := peer.recv()).opcode != CLOSE:
            seen.append((received.opcode, received.payload, received.fin))
        peer.send(CLOSE, received.payload)

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url)

        def pieces():
            yield "one"
            ws.Send("behind")
            yield "two"

        await face.do(ws.Send(pieces()))
        await face.do(ws.Send("last"))
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        server.join()

    face.run(test)
    assert seen == [
        (TEXT, b"one", False), (0, b"two", False), (0, b"", True), (TEXT, b"behind", True), (TEXT, b"last", True),
    ]  # fmt: skip


def test_two_messages_in_pieces_take_turns(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        if face.is_async:

            async def slow(letter):
                for _ in range(5):
                    await asyncio.sleep(0.001)
                    yield letter

            await asyncio.gather(*(ws.Send(slow(letter)) for letter in "abc"))
        else:
            threads = [threading.Thread(target=ws.Send, args=([letter] * 500,)) for letter in "abc"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        got = [await face.do(ws.recv(5)) for _ in range(3)]
        count = 5 if face.is_async else 500
        assert sorted(got) == ["a" * count, "b" * count, "c" * count]
        ws.Close()

    face.run(test)


def test_a_message_that_cannot_be_finished_closes_with_1011(face, raw_server):
    codes = []

    def script(peer):
        peer.accept()
        codes.append(peer.recv_close().code)
        peer.send(CLOSE, struct.pack("!H", codes[-1]))

    def breaks():
        yield "begun"
        raise RuntimeError("no more")

    async def test():
        for pieces, error in [(breaks(), RuntimeError), (iter(["a", b"b"]), TypeError), (iter(["a", 1]), TypeError)]:
            ws = await face.connect(raw_server(script).url)
            with pytest.raises(error):
                await face.do(ws.Send(pieces))
            await face.do(ws.OnClose.Wait(5))
            assert ws.close_code == 1011

    face.run(test)
    assert codes == [1011] * 3


async def _collect(face, ws, timeout=5):
    stream = ws.recv_streaming(timeout)
    return [piece async for piece in stream] if face.is_async else list(stream)


def test_a_message_is_received_as_it_arrives(face, raw_server):
    steps = [threading.Event() for _ in range(3)]

    def script(peer):
        peer.accept()
        peer.send(TEXT, "é".encode()[:1], fin=False)
        assert steps[0].wait(5)
        peer.send(0, "é".encode()[1:] + b"more", fin=False)
        assert steps[1].wait(5)
        peer.sock.sendall(b"\x80\x7f" + struct.pack("!Q", 100_000) + b"x" * 50_000)
        assert steps[2].wait(5)
        peer.sock.sendall(b"x" * 50_000 + frame(TEXT, b"next") + frame(BINARY, b""))
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        got = []
        stream = ws.recv_streaming(5)
        steps[0].set()
        while True:
            try:
                got.append(await anext(stream) if face.is_async else next(stream))
            except (StopIteration, StopAsyncIteration):
                break
            if "".join(got) == "émore":
                steps[1].set()
            if len("".join(got)) > 10:
                steps[2].set()
        assert "".join(got) == "émore" + "x" * 100_000
        assert len(got) >= 3
        assert await _collect(face, ws) == ["next"]
        assert await _collect(face, ws) == [b""]
        ws.Close()

    face.run(test)


def test_a_stream_left_early_leaves_the_next_message_whole(face, raw_server):
    go = threading.Event()

    def script(peer):
        peer.accept()
        peer.send(BINARY, b"begin", fin=False)
        assert go.wait(5)
        peer.sock.sendall(frame(0, b"middle", fin=False) + frame(0, b"end") + frame(TEXT, b"whole"))
        peer.finish()

    async def test():
        ws = await face.connect(raw_server(script).url)
        stream = ws.recv_streaming(5)
        assert (await anext(stream) if face.is_async else next(stream)) == b"begin"
        await face.do(stream.aclose() if face.is_async else stream.close())
        go.set()
        assert await face.do(ws.recv(5)) == "whole"
        ws.Close()

    face.run(test)


def test_the_limit_counts_for_a_stream_too(face, raw_server):
    def script(peer):
        peer.accept()
        peer.send(BINARY, b"x" * 600, fin=False)
        peer.send(0, b"x" * 600, fin=False)
        assert peer.recv_close().code == 1009

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url, max_message_size=1000)
        with pytest.raises(ConnectionClosed, match="max_message_size"):
            await _collect(face, ws)
        server.join()

    face.run(test)


def test_a_stream_is_for_one_and_not_beside_handlers(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        connection = ws.OnMessage.Connect(lambda message: None)
        with pytest.raises(RuntimeError, match="handlers"):
            await _collect(face, ws)
        connection.Disconnect()
        first = ws.recv_streaming(5)
        ws.Send(b"a")
        assert (await anext(first) if face.is_async else next(first)) == b"a"
        with pytest.raises(RuntimeError, match="already"):
            await _collect(face, ws)
        with pytest.raises(TimeoutError):
            await face.do(ws.recv(0.05))
        await face.do(first.aclose() if face.is_async else first.close())
        with pytest.raises(TimeoutError):
            await _collect(face, ws, 0.05)
        ws.Send(b"b")
        assert await face.do(ws.recv(5)) == b"b"
        ws.Close()

    face.run(test)
