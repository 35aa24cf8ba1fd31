"""Cookies of the opening handshake (RFC 6265), on each face: read, sent again, never injected."""

from __future__ import annotations

from http.cookiejar import CookieJar
from http.cookies import SimpleCookie
from types import MappingProxyType

import pytest

from sunsocket import InvalidURL, WebSocket
from sunsocket._jar import fill
from tests.servers.hops import end, hops, redirect, secure

__all__ = ["hops", "secure"]


def test_what_the_server_set_can_be_read_and_sent_again(face, hops):
    server = hops()
    server.accept_lines = (
        b"Set-Cookie: sid=abc=123==; Path=/; HttpOnly; Secure; SameSite=Lax\r\n"
        b"SET-COOKIE: theme = dark \r\n"
        b'Set-Cookie: quoted="a b\\054c"; Expires=Wed, 21 Oct 2065 07:28:00 GMT\r\n'
        b'Set-Cookie: json={"a":[1,2]}\r\n'
        b"Set-Cookie: empty=\r\n"
        b"Set-Cookie: sid=last\r\n"
        b"Set-Cookie: gone=x\r\nSet-Cookie: gone=; Max-Age=0\r\n"
        b"Set-Cookie: nothing\r\nSet-Cookie: =nameless\r\nSet-Cookie:\r\nSet-Cookie: ;;=;\r\n"
        b"Set-Cookie: latin=\xe9\r\nSet-Cookie: " + "utf=\u20ac".encode() + b"\r\n"
        b'Set-Cookie: tab=a\tb\r\nSet-Cookie: open="a\r\nSet-Cookie: a b=c\r\n'
        b"Set-Cookie: huge=" + b"x" * 5000 + b"\r\n"
    )

    async def test():
        ws = await face.connect(server.url)
        assert ws.cookies == {
            "sid": "last",
            "theme": "dark",
            "quoted": '"a b\\054c"',
            "json": '{"a":[1,2]}',
            "empty": "",
            "latin": "\xe9",
            "utf": "\u20ac",
        }
        ws.cookies.clear()
        again = await face.connect(ws.url, cookies=ws.cookies)
        await end(face, ws)
        await end(face, again)

    face.run(test)
    sent = 'sid=last; theme=dark; quoted="a b\\054c"; json={"a":[1,2]}; empty=; latin=\xe9; utf=\u20ac'
    assert [request.headers.get("cookie") for request in server.requests] == [None, sent]


def test_a_server_that_sets_none_gives_none(face, hops):
    server = hops()

    async def test():
        ws = await face.connect(server.url)
        assert ws.cookies == {}
        assert ws.redirects == ()
        await end(face, ws)

    face.run(test)


@pytest.mark.parametrize(
    "cookies", [{"a": "1", "b": "2"}, MappingProxyType({"a": "1", "b": "2"}), [("a", "1"), ("b", "2")]]
)
def test_any_mapping_will_do(face, hops, cookies):
    server = hops()

    async def test():
        await end(face, await face.connect(server.url, cookies=cookies))

    face.run(test)
    assert server.requests[0].headers["cookie"] == "a=1; b=2"


@pytest.mark.parametrize(
    ("cookies", "kind"),
    [
        ({"a": "QQ\r\nX-Injected: y"}, ValueError),
        ({"a": "QQ\n"}, ValueError),
        ({"a": "QQ\0"}, ValueError),
        ({"a": "QQ; admin=1"}, ValueError),
        ({"a": " QQ"}, ValueError),
        ({"a": '"QQ'}, ValueError),
        ({"a": "QQ\udc80"}, ValueError),
        ({"": "QQ"}, ValueError),
        ({"a=b": "QQ"}, ValueError),
        ({"a;b": "QQ"}, ValueError),
        ({"a b": "QQ"}, ValueError),
        ({"a\r\nX": "QQ"}, ValueError),
        ({"a": 1}, TypeError),
        ({1: "QQ"}, TypeError),
        ("a=QQ", TypeError),
        (7, TypeError),
        (SimpleCookie("a=QQ"), TypeError),
    ],
)
def test_a_cookie_that_would_become_something_else_is_refused_before_anything_is_sent(cookies, kind):
    with pytest.raises(kind, match="cookie") as error:
        WebSocket.connect("ws://127.0.0.1:1/", cookies=cookies)
    assert "QQ" not in str(error.value)


def test_cookies_and_a_header_of_ones_own_exclude_each_other():
    with pytest.raises(ValueError, match=r"cookies.*Cookie"):
        WebSocket.connect("ws://127.0.0.1:1/", cookies={"a": "b"}, headers={"cookie": "c=d"})


def test_a_redirect_s_cookies_go_on_within_its_origin(face, hops):
    server = hops(
        {"/a": redirect("/b", "Set-Cookie: own=theirs; Path=/z", "Set-Cookie: s=1", "Set-Cookie: t=2; Secure")}
    )
    server.answers["/b"] = redirect("/c", "Set-Cookie: s=; Max-Age=-1")
    server.accept_lines = b"Set-Cookie: last=3\r\n"

    async def test():
        ws = await face.connect(server.url + "/a", cookies={"own": "mine", "kept": "x"})
        # Secure: for TLS alone, so it was not sent; but it can be read.
        assert ws.cookies == {"own": "theirs", "t": "2", "last": "3"}
        await end(face, ws)

    face.run(test)
    sent = [request.headers["cookie"] for request in server.requests]
    # Path=/z: that cookie is for none of these addresses, and does not come before the program's of its name.
    assert sent == ["own=mine; kept=x", "own=mine; kept=x; s=1", "own=mine; kept=x"]


def test_a_redirect_s_cookie_is_for_its_path_and_those_below(face, hops):
    lines = ("deep=1; Path=/x/y", "x=2; Path=/x", "folder=3", "other=4; Path=/xy")
    server = hops({"/x/a": redirect("/x/y/b", *(f"Set-Cookie: {line}" for line in lines)), "/x/y/b": redirect("/x/c")})

    async def test():
        await end(face, await face.connect(server.url + "/x/a"))

    face.run(test)
    sent = [request.headers.get("cookie") for request in server.requests]
    assert sent == [None, "deep=1; x=2; folder=3", "x=2; folder=3"]


def test_secure_cookies_go_on_over_tls(face, hops, secure, tls):
    server = hops({"/a": redirect("/b", "Set-Cookie: t=2; Secure")}, **secure)

    async def test():
        await end(face, await face.connect(f"wss://localhost:{server.port}/a", tls=tls))

    face.run(test)
    assert [request.headers.get("cookie") for request in server.requests] == [None, "t=2"]


def test_a_redirect_s_cookies_do_not_go_to_another_origin(face, hops):
    last = hops()
    last.accept_lines = b"Set-Cookie: last=3\r\n"
    first = hops({"/a": redirect(last.url + "/b", "Set-Cookie: s=1; Domain=127.0.0.1")})

    async def test():
        ws = await face.connect(first.url + "/a", cookies={"own": "mine"})
        assert ws.cookies == {"last": "3"}
        await end(face, ws)

    face.run(test)
    assert "cookie" not in last.requests[0].headers


def test_a_cookie_header_of_ones_own_is_left_as_it_is(face, hops):
    server = hops({"/a": redirect("/b", "Set-Cookie: s=1")})

    async def test():
        ws = await face.connect(server.url + "/a", headers={"Cookie": "a=b"})
        assert ws.cookies == {"s": "1"}
        await end(face, ws)

    face.run(test)
    assert [request.headers["cookie"] for request in server.requests] == ["a=b", "a=b"]


def test_a_jar_is_read_and_filled(face, hops):
    server = hops()
    server.accept_lines = b"Set-Cookie: set=1; Path=/\r\nSet-Cookie: deep=2; Path=/deep\r\n"
    jar = CookieJar()

    async def test():
        for path in ("/", "/", "/deep/er"):
            await end(face, await face.connect(server.url + path, cookies=jar))

    face.run(test)
    sent = [request.headers.get("cookie", "") for request in server.requests]
    assert sent[:2] == ["", "set=1"]
    assert set(sent[2].split("; ")) == {"set=1", "deep=2"}
    assert {(cookie.name, cookie.path) for cookie in jar} == {("set", "/"), ("deep", "/deep")}


def test_a_jar_s_cookies_stay_with_their_host(face, hops):
    here, there = hops(), hops()
    here.answers["/"] = redirect(f"http://localhost:{there.port}/")
    there.accept_lines = b"Set-Cookie: theirs=2\r\n"
    jar = CookieJar()
    fill(jar, "ws://127.0.0.1/", [("Set-Cookie", "ours=1; Path=/"), ("Server", "x")])

    async def test():
        await end(face, await face.connect(here.url, cookies=jar))

    face.run(test)
    assert here.requests[0].headers.get("cookie") == "ours=1"
    assert "cookie" not in there.requests[0].headers
    assert {cookie.name: cookie.domain for cookie in jar} == {"ours": "127.0.0.1", "theirs": "localhost.local"}


def test_a_jar_does_not_hide_a_wrong_address():
    for url in ("ws", "ws://[::1", "http://h/"):
        with pytest.raises(InvalidURL):
            WebSocket.connect(url, cookies=CookieJar())


def test_what_cannot_be_sent_of_a_jar_is_left_out(face, hops):
    server = hops()
    jar = CookieJar()
    fill(jar, "ws://127.0.0.1/", [("Set-Cookie", "x y=1"), ("Set-Cookie", "good=2")])

    async def test():
        await end(face, await face.connect(server.url.replace("//", "//user:pass@"), cookies=jar))

    face.run(test)
    assert server.requests[0].headers["cookie"] == "good=2"
