"""More than the hold takes, compressed into one read: it is inflated as it is taken, and nothing of it is lost."""

from __future__ import annotations

import ssl
import time
import zlib

import pytest

from sunsocket import TLS, ConnectionClosed
from tests.servers.raw import CLOSE, PING, TEXT, close_payload, frame

DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
COUNT, SIZE, HELD = 100, 100_000, (1024, 1 << 20)


def numbered(number):
    return f"{number:05}" * (SIZE // 5)


def compressed(text):
    deflate = zlib.compressobj(9, wbits=-15)
    payload = deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
    message = bytearray(frame(TEXT, payload[:-4]))
    message[0] |= 0x40
    return bytes(message)


@pytest.fixture(scope="module")
def burst():
    """Ten megabytes in some ten kilobytes, that reach the client in few reads."""
    messages = b"".join(compressed(numbered(number)) for number in range(COUNT))
    assert len(messages) < 50_000
    return messages


@pytest.fixture(params=["ws", "wss"])
def serve(request, raw_server, burst, certificates):
    """Starts a server that sends the burst, with other bytes behind it, as soon as the client has sent something."""

    def start(behind, then=lambda peer: peer.finish()):
        def script(peer):
            peer.accept(DEFLATE)
            peer.recv()
            peer.sock.sendall(burst + behind)
            then(peer)

        if request.param == "ws":
            return raw_server(script).url, {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.good)
        return raw_server(script, context=context).url, {"tls": TLS(ca_file=certificates.ca_file)}

    return start


@pytest.mark.parametrize("how", ["recv", "handler", "streaming", "iteration"])
def test_all_of_it_arrives_in_order(face, serve, how):
    async def test():
        url, options = serve(frame(PING, b"behind") + frame(TEXT, b"last") + frame(CLOSE, close_payload(1000)))
        ws = await face.connect(url, max_held=HELD, **options)
        got = []
        if how == "handler":
            ws.OnMessage.Connect(got.append)
        ws.Send("go")
        if how == "recv":
            while not got or got[-1] != "last":
                got.append(await face.do(ws.recv(5)))
        elif how == "streaming":
            while not got or got[-1] != "last":
                pieces = ws.recv_streaming(5)
                got.append("".join([piece async for piece in pieces] if face.is_async else list(pieces)))
        elif how == "iteration":
            got = [message async for message in ws] if face.is_async else list(ws)
        await face.do(ws.OnClose.Wait(5))
        assert got == [*map(numbered, range(COUNT)), "last"]
        assert ws.close_code == 1000

    face.run(test)


def test_our_close_in_the_middle_finds_the_server_s(face, serve):
    def answer(peer):
        peer.recv_close()
        peer.send(CLOSE, close_payload(4001))

    async def test():
        url, options = serve(b"", answer)
        ws = await face.connect(url, max_held=HELD, **options)
        ws.Send("go")
        assert await face.do(ws.recv(5)) == numbered(0)
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        assert (ws.close_code, ws.error) == (4001, None)

    face.run(test)


@pytest.mark.parametrize(
    ("behind", "then", "code"),
    [(b"\xff\x00", lambda peer: peer.recv_close(), 1002), (b"", lambda peer: peer.sock.close(), 1006)],
    ids=["a violation", "a server that is gone"],
)
def test_what_ends_the_connection_behind_it_leaves_all_of_it(face, serve, behind, then, code):
    async def test():
        url, options = serve(behind, then)
        ws = await face.connect(url, max_held=HELD, **options)
        ws.Send("go")
        for number in range(COUNT):
            assert await face.do(ws.recv(5)) == numbered(number)
        with pytest.raises(ConnectionClosed):
            await face.do(ws.recv(5))
        assert ws.close_code == code

    face.run(test)


# Over ws alone: reading waits ten seconds for somebody else to listen before the oldest messages are dropped.
@pytest.mark.parametrize("serve", ["ws"], indirect=True)
@pytest.mark.parametrize("how", ["once", "compressed once"])
def test_a_handler_that_goes_away_while_reading_waits_does_not_stop_it(face, raw_server, serve, how):
    def flood(peer):
        peer.accept()
        peer.recv()
        peer.sock.sendall(frame(TEXT, b"x" * 64) * 100_000 + frame(CLOSE, close_payload(1000)))
        peer.recv_close()

    async def test():
        if how == "once":
            url, options = raw_server(flood).url, {}
        else:
            url, options = serve(frame(CLOSE, close_payload(1000)), lambda peer: peer.recv_close())
        ws = await face.connect(url, max_held=HELD, **options)
        # So slow that the hold is full meanwhile.
        ws.OnMessage.Once(lambda _message: time.sleep(0.3))
        ws.Send("go")
        await face.do(ws.OnClose.Wait(30))
        assert ws.close_code == 1000

    face.run(test)
