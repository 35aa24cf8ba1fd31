"""Connecting that comes to nothing: the class of the error, its time, and what it says."""

from __future__ import annotations

import http.server
import logging
import socket
import threading
import time

import pytest

from sunsocket import TLS, ConnectError, ConnectTimeout, HandshakeError, InvalidURL, State, WebSocket


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_an_address_of_this_machine_is_connected_from(face, echo):
    here = {"resolve": {"*": f"127.0.0.1:{echo.port}"}, "tls": TLS(verify=False)}

    async def test():
        ws = await face.connect(echo.url, local_address="127.0.0.9", **here)
        assert ws.local_address[0] == "127.0.0.9"
        ws.abort()
        with socket.create_server(("127.0.0.8", 0)) as taken:
            address = taken.getsockname()
            says = rf"local_address 127\.0\.0\.8:{address[1]} cannot be used: address already"
            with pytest.raises(ConnectError, match=says):
                await face.connect(echo.url, local_address=address, **here)
        with pytest.raises(ConnectError, match="not reached from local_address ::1"):
            await face.connect(echo.url, local_address="::1", **here)

    face.run(test)


@pytest.mark.parametrize(
    ("address", "kind"),
    [("localhost", ValueError), (5, TypeError), (("127.0.0.1", 70000), TypeError), ((1, 2), TypeError)],
)
def test_what_is_no_address_of_this_machine_is_refused(address, kind):
    with pytest.raises(kind, match="local_address"):
        WebSocket.connect("ws://127.0.0.1:1/", local_address=address)


def test_nobody_listens(face):
    async def test():
        url = f"ws://127.0.0.1:{closed_port()}/"
        with pytest.raises(ConnectError, match=r"\(127.0.0.1:\d+: connection refused\)") as raised:
            await face.connect(url)
        assert type(raised.value) is ConnectError
        assert isinstance(raised.value, ConnectionError)
        assert url in str(raised.value)
        assert "is the server running, and on this port?" in str(raised.value)

    face.run(test)


def test_a_host_that_does_not_exist(face):
    async def test():
        with pytest.raises(ConnectError, match=r'"no-such-host\.invalid" was not found .* check the name') as raised:
            await face.connect("ws://no-such-host.invalid/")
        assert type(raised.value) is ConnectError

    face.run(test)


def test_a_refusal_carries_status_headers_and_body(face, raw_server):
    def script(peer):
        peer.accept_nothing(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nX-Reason: none\r\nX-Reason: two\r\n\r\nnot here\n"
        )

    async def test():
        server = raw_server(script)
        with pytest.raises(HandshakeError, match=r"404.*check the path of the URL") as raised:
            await face.connect(server.url + "nowhere")
        assert f"{server.url}nowhere" in str(raised.value)
        assert raised.value.status == 404
        assert raised.value.headers == [("Content-Length", "9"), ("X-Reason", "none"), ("X-Reason", "two")]
        assert raised.value.body == b"not here\n"

    face.run(test)


def test_a_refusal_in_http_1_0_carries_all_that_too(face):
    # The one that everybody has at hand: its body ends with the connection.
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        async def test():
            with pytest.raises(HandshakeError, match="404 File not found") as raised:
                await face.connect(f"ws://127.0.0.1:{server.server_port}/nowhere")
            assert raised.value.status == 404
            assert any(name == "Server" and "SimpleHTTP" in value for name, value in raised.value.headers)
            assert b"Error code: 404" in raised.value.body

        try:
            face.run(test)
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Says nothing."""


def test_header_values_are_kept_in_whatever_they_were_written_and_folded(face, raw_server):
    lines = b"X-Latin: caf\xe9\r\nX-Folded: a\r\n  b\r\nX-Utf: " + "\u20ac".encode() + b"\r\n"

    async def test():
        server = raw_server(
            lambda peer: peer.accept_nothing(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n" + lines + b"\r\n")
        )
        with pytest.raises(HandshakeError) as raised:
            await face.connect(server.url)
        assert raised.value.headers[1:] == [("X-Latin", "caf\xe9"), ("X-Folded", "a b"), ("X-Utf", "\u20ac")]

    face.run(test)


def test_a_query_is_a_secret_for_everybody_but_the_program(face, raw_server, caplog):
    caplog.set_level(logging.DEBUG)

    async def test():
        server = raw_server(lambda peer: peer.accept_nothing(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n"))
        with pytest.raises(HandshakeError) as raised:
            await face.connect(f"{server.url}a?token=Q-Q")
        assert f"{server.url}a?\u2026: " in str(raised.value)
        with pytest.raises(InvalidURL) as invalid:
            await face.connect("ws://h:0/?token=Q-Q")
        assert "Q-Q" not in f"{raised.value!r} {invalid.value!r}"
        open_server = raw_server(lambda peer: (peer.accept(), peer.finish()))
        ws = await face.connect(f"{open_server.url}a?token=Q-Q")
        assert ws.url == f"{open_server.url}a?token=Q-Q"
        shown = f"{ws!r} {ws} {ws.OnMessage!r}"
        assert f"{open_server.url}a?\u2026" in shown
        ws.abort()
        await face.do(ws.OnClose.Wait(5))
        assert "Q-Q" not in f"{shown} {ws.error!r} {ws.error}"

    face.run(test)
    assert "Q-Q" not in caplog.text


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "credentials"),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", "Retry-After"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "is there a WebSocket at this path"),
    ],
)
def test_a_refusal_says_what_to_try_next(face, raw_server, head, says):
    async def test():
        server = raw_server(lambda peer: peer.accept_nothing(head))
        with pytest.raises(HandshakeError, match=says) as raised:
            await face.connect(server.url)
        assert raised.value.status == int(head.split()[1])

    face.run(test)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"\r\n\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 200 + b"\r\n\r\n"],
)
def test_an_answer_that_is_no_http(face, raw_server, answer):
    async def test():
        server = raw_server(lambda peer: peer.accept_nothing(answer))
        with pytest.raises(HandshakeError) as raised:
            await face.connect(server.url)
        assert raised.value.status is None
        assert (raised.value.headers, raised.value.body) == ([], b"")

    face.run(test)


def test_a_server_that_hangs_up_without_an_answer(face, raw_server):
    async def test():
        server = raw_server(lambda peer: peer.read(1))
        with pytest.raises(ConnectError, match=r"dropped the connection|lost"):
            await face.connect(server.url)

    face.run(test)


def test_a_wrong_accept_is_not_a_websocket(face, raw_server):
    head = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
    )

    async def test():
        server = raw_server(lambda peer: peer.accept_nothing(head))
        with pytest.raises(HandshakeError, match="Sec-WebSocket-Accept") as raised:
            await face.connect(server.url)
        assert raised.value.status == 101

    face.run(test)


def test_a_silent_server_is_left_in_time(face, raw_server):
    ended = threading.Event()

    def script(peer):
        peer.wait_for_end()
        ended.set()

    async def test():
        server = raw_server(script)
        for url, step in [(server.url, "opening handshake"), (server.url.replace("ws:", "wss:"), "TLS")]:
            ended.clear()
            start = time.monotonic()
            with pytest.raises(ConnectTimeout, match=rf"{step}.*open_timeout \(0\.3 s\)") as raised:
                await face.connect(url, open_timeout=0.3)
            assert 0.25 < time.monotonic() - start < 3
            assert isinstance(raised.value, TimeoutError)
            await face.until(ended.is_set)

    face.run(test)


def test_a_server_that_dribbles_is_left_in_time(face, raw_server):
    def script(peer):
        head = b"HTTP/1.1 101 Switching Protocols\r\n" + b"X-Filling: x\r\n" * 5000
        stop = threading.Event()
        for byte in head:
            peer.sock.sendall(bytes([byte]))
            # Each byte comes well within any limit for one read.
            stop.wait(0.01)

    async def test():
        server = raw_server(script)
        start = time.monotonic()
        with pytest.raises(ConnectTimeout, match="open_timeout"):
            await face.connect(server.url, open_timeout=0.3)
        assert time.monotonic() - start < 3

    face.run(test)


def test_a_host_that_answers_nothing_at_all_is_left_in_time(face):
    # A listener whose queue is full: further connections hang in TCP.
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)

        async def test():
            with pytest.raises(ConnectTimeout, match="TCP"):
                await face.connect(f"ws://127.0.0.1:{port}/", open_timeout=0.3)

        face.run(test)
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("has_zone", [False, True])
def test_an_ipv6_address(face, raw_server, has_zone):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    hosts = []

    def script(peer):
        peer.accept()
        hosts.append(peer.header("Host"))
        peer.finish()

    async def test():
        try:
            server = raw_server(script, host="::1")
        except OSError:
            pytest.skip("no IPv6 here")
        # By name a zone is known for link-local addresses alone; by number for any (RFC 6874, RFC 4007 11.2).
        zone = f"%25{socket.if_nametoindex('lo')}" if has_zone else ""
        ws = await face.connect(f"ws://[::1{zone}]:{server.port}/")
        assert ws.url == f"ws://[::1{zone}]:{server.port}/"
        assert ws.remote_address == ("::1", server.port)
        assert ws.local_address[0] == "::1"
        ws.Close()
        server.join()
        assert hosts == [f"[::1]:{server.port}"]

    face.run(test)


def test_connect_inside_a_handler(echo):
    ws = WebSocket.connect(echo.url)
    got = []
    done = threading.Event()

    def handler(message):
        with WebSocket.connect(echo.url) as inner:
            inner.Send("inner " + message)
            got.append(inner.recv(5))
        done.set()

    ws.OnMessage.Connect(handler)
    ws.Send("x")
    assert done.wait(10)
    assert got == ["inner x"]
    assert ws.state is State.OPEN
    ws.Close()


def test_many_connects_at_once_from_many_threads(echo):
    failures = []

    def work():
        try:
            for _ in range(10):
                with WebSocket.connect(echo.url) as ws:
                    ws.Send("x")
                    assert ws.recv(10) == "x"
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
