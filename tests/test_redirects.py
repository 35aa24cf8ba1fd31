"""Redirects of the opening handshake, on each face: where they lead, and what the servers on the way get to see."""

from __future__ import annotations

import ssl
import time

import pytest

from sunsocket import TLS, ConnectError, ConnectTimeout, TLSError, WebSocket
from tests.servers.hops import end, hops, redirect, refused, secure

__all__ = ["hops", "secure"]


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other", "307", "308 x"])
def test_every_status_that_redirects_is_followed(face, hops, status):
    server = hops({"/a": redirect("/b", status=status)})

    async def test():
        ws = await face.connect(server.url + "/a")
        assert ws.url == server.url + "/b"
        assert ws.redirects == (server.url + "/a",)
        await end(face, ws)

    face.run(test)
    assert server.paths == ["/a", "/b"]


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("c", "/a/c"),
        ("../c", "/c"),
        ("../../../c/./d?e=/../f", "/c/d?e=/../f"),
        ("?q", "/a/b?q"),
        ("/c#fragment", "/c"),
        ("//127.0.0.1:{port}/c", "/c"),
        ("http://127.0.0.1:{port}", "/"),
        ("HTTP://127.0.0.1:{port}/a/../c", "/c"),
        ("ws://127.0.0.1:{port}/c", "/c"),
        ("http://them:secret@127.0.0.1:{port}/c", "/c"),
        ("/%0d%0aX-Injected:%20y", "/%0d%0aX-Injected:%20y"),
        ("/\\127.0.0.1/c", "/%5C127.0.0.1/c"),
        ("/b\xff", "/b%FF"),
    ],
)
def test_a_location_is_absolute_or_relative(face, hops, location, path):
    server = hops()
    server.answers["/a/b"] = redirect(location.format(port=server.port))

    async def test():
        ws = await face.connect(server.url + "/a/b")
        assert ws.url == server.url + path
        await end(face, ws)

    face.run(test)
    assert server.paths == ["/a/b", path]
    assert "authorization" not in server.requests[1].headers
    assert "x-injected" not in server.requests[1].headers


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("302 Found", ["302 Found", "Location"]),
        ("302 Found\r\nLocation:", ["empty Location"]),
        ("302 Found\r\nLocation: /b\r\nLocation: /b", ["more than one Location"]),
        (redirect("ftp://127.0.0.1/"), ["ftp", "ws://"]),
        (redirect("http:b"), ["not a WebSocket URL"]),
        (redirect("http://127.0.0.1:99999/"), ["65535"]),
        (redirect("/b c"), ["percent"]),
        (redirect("/b\tX-Injected:y"), ["percent"]),
        (redirect("http://them:secret@[::1/"), ["]"]),
        (redirect("/b\0c"), ["not HTTP"]),
        (redirect("/b\rX-Injected: y"), ["not HTTP"]),
    ],
)
def test_a_location_that_cannot_be_followed_is_told(face, hops, answer, words):
    server = hops({"/a": answer})
    error = refused(face, server.url + "/a")
    for word in [server.url + "/a", *words]:
        assert word in str(error)
    assert "secret" not in str(error)
    assert server.paths == ["/a"]
    assert error.status in (302, None)


def test_a_line_break_in_a_location_ends_the_header_and_injects_nothing(face, hops):
    server = hops({"/a": redirect("/b\r\nX-Injected: y")})

    async def test():
        await end(face, await face.connect(server.url + "/a"))

    face.run(test)
    assert server.paths == ["/a", "/b"]
    assert "x-injected" not in server.requests[1].headers


def test_loops_end_at_the_limit_with_every_address_named(face, hops):
    server = hops({f"/{number}": redirect(f"/{(number + 1) % 3}") for number in range(3)})
    error = refused(face, server.url + "/0")
    assert server.paths == ["/0", "/1", "/2", "/0", "/1", "/2"]
    assert "the limit is 5 (max_redirects)" in str(error)
    assert " -> ".join(server.url + path for path in server.paths) in str(error)
    assert error.status == 302


def test_the_limit_can_be_chosen(face, hops):
    answers = {f"/{number}": redirect(f"/{number + 1}") for number in range(7)}
    server = hops(answers)

    async def test():
        ws = await face.connect(server.url + "/0", max_redirects=7)
        assert len(ws.redirects) == 7
        await end(face, ws)

    face.run(test)
    server.requests.clear()
    refused(face, server.url + "/0", max_redirects=6)
    assert server.paths == [f"/{number}" for number in range(7)]


def test_zero_follows_none_and_tells_where_it_leads(face, hops):
    server = hops({"/a": redirect("/b", "Content-Length: 0")})
    error = refused(face, server.url + "/a", max_redirects=0)
    assert "max_redirects" in str(error)
    assert server.url + "/b" in str(error)
    assert error.status == 302
    assert server.paths == ["/a"]


@pytest.mark.parametrize(
    ("value", "kind"), [(-1, ValueError), (101, ValueError), (1.0, TypeError), (True, TypeError), (None, TypeError)]
)
def test_a_limit_that_is_none_is_refused(value, kind):
    with pytest.raises(kind, match="max_redirects"):
        WebSocket.connect("ws://127.0.0.1:1/", max_redirects=value)


def test_ws_may_lead_to_wss(face, hops, secure, tls):
    last = hops(**secure)
    first = hops({"/a": redirect(f"https://localhost:{last.port}/b")})

    async def test():
        ws = await face.connect(first.url + "/a", tls=tls)
        assert ws.url == f"wss://localhost:{last.port}/b"
        await end(face, ws)

    face.run(test)
    assert last.paths == ["/b"]


def test_wss_never_leads_to_ws(face, hops, secure, tls):
    last = hops()
    for location in (f"http://127.0.0.1:{last.port}/b", f"ws://localhost:{last.port}/b"):
        first = hops({"/a": redirect(location)}, **secure)
        error = refused(face, f"wss://localhost:{first.port}/a", tls=tls)
        assert "from wss to ws://" in str(error)
        assert "not encrypted" in str(error)
    assert last.requests == []


def test_wss_never_leads_to_ws_by_a_detour(face, hops, secure, tls):
    last = hops()
    second = hops({"/b": redirect(f"{last.url}/c")}, **secure)
    first = hops({"/a": redirect(f"wss://localhost:{second.port}/b")})
    error = refused(face, first.url + "/a", tls=tls)
    assert f"(redirected: {first.url}/a -> wss://localhost:{second.port}/b" in str(error)
    assert last.requests == []


def test_the_server_s_name_of_the_options_is_for_the_first_host_alone(face, hops, secure, certificates):
    last = hops(**secure)
    first = hops({"/a": redirect(f"wss://wrong.example:{last.port}/b")}, **secure)
    resolve = {"*": f"127.0.0.1:{first.port}", f"wrong.example:{last.port}": f"127.0.0.1:{last.port}"}
    tls = TLS(ca_file=certificates.ca_file, server_hostname="localhost")
    error = refused(face, "wss://right.example/a", TLSError, tls=tls, resolve=resolve)
    assert "wrong.example" in str(error)
    assert first.paths == ["/a"]
    assert last.requests == []


def test_certificates_are_verified_at_every_hop(face, hops, certificates, tls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.stranger)
    last = hops(context=context)
    first = hops({"/a": redirect(f"wss://localhost:{last.port}/b")})
    error = refused(face, first.url + "/a", TLSError, tls=tls)
    assert f"{first.url}/a -> wss://localhost:{last.port}/b" in str(error)
    assert last.requests == []


def test_resolve_is_asked_for_every_hop(face, hops):
    last = hops()
    first = hops({"/a": redirect("http://two.example:81/b")})
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return "127.0.0.1", {"one.example": first, "two.example": last}[host].port

    async def test():
        ws = await face.connect("ws://one.example/a", resolve=resolve)
        assert ws.url == "ws://two.example:81/b"
        await end(face, ws)

    face.run(test)
    assert asked == [("one.example", 80), ("two.example", 81)]
    assert last.requests[0].headers["host"] == "two.example:81"


def test_every_hop_gets_a_key_of_its_own_and_the_same_offer(face, hops):
    last = hops()
    first = hops({"/a": redirect("/b"), "/b": redirect(last.url + "/c")})

    async def test():
        headers = {"Accept-Language": "eo", "User-Agent": "mine"}
        ws = await face.connect(first.url + "/a", headers=headers, origin="https://page.example", subprotocols=["chat"])
        await end(face, ws)

    face.run(test)
    requests = first.requests + last.requests
    assert len({request.headers["sec-websocket-key"] for request in requests}) == 3
    for request in requests:
        assert request.headers["origin"] == "https://page.example"
        assert request.headers["sec-websocket-protocol"] == "chat"
        assert request.headers["sec-websocket-extensions"].startswith("permessage-deflate")
        assert (request.headers["accept-language"], request.headers["user-agent"]) == ("eo", "mine")


def test_the_body_is_not_waited_for_and_the_socket_is_dropped(face, raw_server, hops):
    last = hops()
    ended = []

    def script(peer):
        peer.sock.recv(65536)
        head = f"HTTP/1.1 302 Found\r\nLocation: {last.url}/b\r\nContent-Length: 1000000\r\n\r\nstart"
        peer.sock.sendall(head.encode())
        peer.wait_for_end()
        ended.append(True)

    first = raw_server(script)
    begin = time.monotonic()

    async def test():
        await end(face, await face.connect(first.url))

    face.run(test)
    first.join()
    assert ended == [True]
    assert time.monotonic() - begin < 3


def test_one_open_timeout_covers_all_hops(face, raw_server, hops):
    silent = raw_server(lambda peer: peer.wait_for_end())
    first = hops({"/a": redirect(silent.url)})
    begin = time.monotonic()
    error = refused(face, first.url + "/a", ConnectTimeout, open_timeout=0.4)
    assert time.monotonic() - begin < 3
    assert f"{first.url}/a -> {silent.url}" in str(error)


def test_a_hop_that_nobody_answers_at_says_how_it_came_there(face, hops, raw_server):
    gone = raw_server(lambda peer: None)
    gone.stop()
    first = hops({"/a": redirect(gone.url + "b")})
    error = refused(face, first.url + "/a", ConnectError)
    assert f"(redirected: {first.url}/a -> {gone.url}b)" in str(error)


def test_scripts_follow_redirects(run_luau, hops):
    last = hops()
    first = hops({"/a": redirect(last.url + "/b"), "/loop": redirect("/loop")})
    script = f"""
        local ws = WebSocket.connect("{first.url}/a")
        print(ws)
        ws:Close()
        print(pcall(WebSocket.connect, "{first.url}/loop"))
    """
    outcome = run_luau(script)
    assert f"WebSocket {last.url}/b" in outcome.stdout, outcome
    assert "the limit is 5 (--max-redirects)" in outcome.stdout, outcome
    outcome = run_luau(script, "--max-redirects", "0")
    assert outcome.status == 1
    assert "(--max-redirects)" in outcome.stderr, outcome
    assert run_luau(script, "--max-redirects", "many").status == 2
