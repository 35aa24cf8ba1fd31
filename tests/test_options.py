"""The keywords of connect: what cannot be used is refused by name, before anything is sent."""

from __future__ import annotations

import asyncio
import re

import pytest

import sunsocket.aio
from sunsocket import TLS, InvalidURL, WebSocket
from sunsocket._options import DEFAULTS, resolver

NAN = float("nan")

# The option, a value that it cannot have, the error and what its text says.
REFUSED = [
    ("headers", [("A", "b\r\nEvil: yes")], ValueError, "A"),
    ("headers", [("A", "b\nEvil: yes")], ValueError, "A"),
    ("headers", [("A", "b\0")], ValueError, "A"),
    ("headers", [("A\r\nB", "b")], ValueError, "A"),
    ("headers", [("A B", "b")], ValueError, "A B"),
    ("headers", [("A:", "b")], ValueError, "A:"),
    ("headers", [("", "b")], ValueError, "header"),
    ("headers", {"Host": "elsewhere"}, ValueError, "Host"),
    ("headers", {"upgrade": "h2c"}, ValueError, "Upgrade"),
    ("headers", {"Connection": "close"}, ValueError, "Connection"),
    ("headers", {"sec-websocket-key": "x"}, ValueError, "Sec-WebSocket-Key"),
    ("headers", {"Sec-WebSocket-Version": "8"}, ValueError, "Sec-WebSocket-Version"),
    ("headers", {"Sec-WebSocket-Protocol": "chat"}, ValueError, "subprotocols"),
    ("headers", {"Sec-WebSocket-Extensions": "x"}, ValueError, "Sec-WebSocket-Extensions"),
    ("headers", {"Content-Length": "5"}, ValueError, "Content-Length"),
    ("headers", {"Transfer-Encoding": "chunked"}, ValueError, "Transfer-Encoding"),
    ("headers", {"A": 1}, TypeError, "headers"),
    ("headers", {b"A": b"b"}, TypeError, "headers"),
    ("headers", ["A: b"], TypeError, "headers"),
    ("headers", [("A",)], TypeError, "one of them is something else"),
    ("headers", "A: b", TypeError, "headers"),
    ("headers", 5, TypeError, "headers"),
    ("subprotocols", "chat", TypeError, r"\['chat'\]"),
    ("subprotocols", [1], TypeError, "subprotocol"),
    ("subprotocols", 1, TypeError, "subprotocols"),
    ("subprotocols", object(), TypeError, "subprotocols is a sequence of names, not object"),
    ("subprotocols", ["a b"], ValueError, "a b"),
    ("subprotocols", ["a\r\nEvil: yes"], ValueError, "subprotocol"),
    ("subprotocols", ["a", "a"], ValueError, "twice"),
    ("subprotocols", [""], ValueError, "subprotocol"),
    ("origin", 1, TypeError, "origin"),
    ("origin", "a\r\nEvil: yes", ValueError, "Origin"),
    ("user_agent", 1, TypeError, "user_agent"),
    ("user_agent", "a\r\nEvil: yes", ValueError, "User-Agent"),
    ("proxy", "ftp://proxy.example", ValueError, "proxy"),
    ("proxy", b"http://proxy.example", TypeError, "proxy"),
    ("compression", "gzip", TypeError, "compression"),
    ("tls", "ca.pem", TypeError, "tls"),
    ("tls", True, TypeError, "tls"),
    *[
        (name, value, error, name)
        for name in ("open_timeout", "close_timeout", "ping_interval", "ping_timeout")
        for value, error in [
            (-1, ValueError), (NAN, ValueError), ("1", TypeError), (True, TypeError),
        ]
    ],
    ("close_timeout", None, TypeError, "close_timeout"),
    ("ping_interval", 0, ValueError, "ping_interval"),
    ("ping_timeout", 0, ValueError, "ping_timeout"),
    ("max_message_size", -1, ValueError, "max_message_size"),
    ("max_message_size", 1.5, TypeError, "max_message_size"),
    ("max_message_size", "1", TypeError, "max_message_size"),
    ("max_message_size", 1 << 80, ValueError, "max_message_size"),
    ("max_held", 5, TypeError, "max_held"),
    ("max_held", (1,), TypeError, "max_held"),
    ("max_held", (0, 1), ValueError, "max_held"),
    ("max_held", (1, 1 << 80), ValueError, "max_held"),
    ("max_held", ("1", 2), TypeError, "max_held"),
    ("write_limit", (1, 2), ValueError, "write_limit"),
    ("write_limit", (2.0, 1), TypeError, "write_limit"),
    ("resolve", "127.0.0.1", TypeError, "resolve"),
    ("resolve", 1, TypeError, "resolve"),
    ("resolve", {"no-port": "127.0.0.1:1"}, ValueError, "no-port"),
    ("resolve", {"a:99999": "127.0.0.1:1"}, ValueError, "99999"),
    ("resolve", {"a:1": "127.0.0.1"}, ValueError, "127.0.0.1"),
    ("resolve", {"a:1": "not-an-address:1"}, ValueError, "not-an-address"),
    ("resolve", {1: "127.0.0.1:1"}, TypeError, "resolve"),
    ("resolve", {"a:1": 5}, TypeError, "resolve"),
    ("daemon_", True, TypeError, "no option 'daemon_'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "error", "says"), REFUSED)
def test_what_cannot_be_used_is_refused_before_anything_is_sent(listener, name, value, error, says):
    with pytest.raises(error, match=says) as thread:
        WebSocket.connect(listener.url, **{name: value})

    async def in_loop():
        await sunsocket.aio.WebSocket.connect(listener.url, **{name: value})

    with pytest.raises(error, match=says) as loop:
        asyncio.run(in_loop())
    assert (type(thread.value), str(thread.value)) == (type(loop.value), str(loop.value))
    assert not listener.was_tried()


# The TLS option, its value, the error and what its text says.
REFUSED_TLS = [
    ("ca_file", 5, TypeError, "ca_file"),
    ("ca_file", "missing.pem", sunsocket.TLSError, "missing.pem"),
    ("ca_data", 5, TypeError, "ca_data"),
    ("ca_data", [1, 2], TypeError, "ca_data"),
    ("ca_data", b"no certificate", sunsocket.TLSError, "ca_data"),
    ("ca_data", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", sunsocket.TLSError, "ca_data"),
    ("cert_file", "only-one.pem", ValueError, "key_file"),
    ("key_file", "only-one.pem", ValueError, "cert_file"),
    ("server_hostname", 5, TypeError, "server_hostname"),
    ("server_hostname", "not a name", ValueError, "not a name"),
    ("server_hostname", "", ValueError, "host name"),
    ("verify", "no", TypeError, "verify"),
    ("verify", None, TypeError, "verify"),
]


@pytest.mark.parametrize(("name", "value", "error", "says"), REFUSED_TLS)
def test_tls_options_are_refused_before_anything_is_sent(listener, name, value, error, says):
    url = listener.url.replace("ws:", "wss:")
    with pytest.raises(error, match=says):
        WebSocket.connect(url, tls=TLS(**{name: value}))

    async def in_loop():
        await sunsocket.aio.WebSocket.connect(url, tls=TLS(**{name: value}))

    with pytest.raises(error, match=says):
        asyncio.run(in_loop())
    assert not listener.was_tried()


URLS = [
    ("", "scheme"),
    ("127.0.0.1", "scheme"),
    ("//host/", "scheme"),
    ("http://host/", "use ws://"),
    ("https://host/", "use wss://"),
    ("ftp://host/", "'ftp'|\"ftp\""),
    ("ws:///path", "host"),
    ("ws://", "host"),
    ("ws://host:0/", "port"),
    ("ws://host:65536/", "port"),
    ("ws://host:-1/", "port"),
    ("ws://host:+1/", "port"),
    ("ws://host:http/", "port"),
    ("ws://[::1/", r"\]"),
    ("ws://[zz]/", "zz"),
    ("ws://host/#part", "fragment"),
    ("ws://host/#", "fragment"),
    ("ws://ho st/", "' '"),
    ("ws://host/a b", "' '"),
    ("ws://host/\r\nEvil: yes", "contains"),
    ("ws://host/\0", "contains"),
    (" ws://host/", "' '"),
    ("ws://%ff:x@host/", "user name"),
    ("ws://a%3Ab:x@host/", "user name"),
]


@pytest.mark.parametrize(("url", "says"), URLS)
def test_a_wrong_address_is_an_invalid_url(face, url, says):
    async def test():
        with pytest.raises(InvalidURL, match=says) as raised:
            await face.connect(url)
        assert isinstance(raised.value, ValueError)

    face.run(test)


@pytest.mark.parametrize("url", [None, 5, b"ws://host/", ["ws://host/"]])
def test_an_address_is_a_str(face, url):
    async def test():
        with pytest.raises(TypeError, match="url is a str"):
            await face.connect(url)

    face.run(test)


def test_a_password_never_shows_in_an_error():
    for url in ("ws://user:secret@host:0/", "ws://user:secret@127.0.0.1:1/", "http://user:secret@host/"):
        with pytest.raises(sunsocket.ConnectError) as raised:
            WebSocket.connect(url, open_timeout=1)
        assert "secret" not in str(raised.value)


def test_the_defaults_are_those_of_the_documentation():
    text = WebSocket.connect.__doc__
    assert text is not None
    for name in DEFAULTS:
        assert re.search(rf"\n +{name}: ", text), name
    assert (DEFAULTS["open_timeout"], DEFAULTS["close_timeout"]) == (10, 10)
    assert (DEFAULTS["ping_interval"], DEFAULTS["ping_timeout"]) == (20, 20)
    assert DEFAULTS["max_message_size"] == 64 << 20
    assert DEFAULTS["max_held"] == (1024, 16 << 20)


def test_a_table_of_addresses_ignores_case_and_has_a_star():
    assert resolver({"Echo.Example:443": "127.0.0.1:9", "[::1]:80": ("::1", 81), "*": "127.0.0.1:1"}) == [
        ("echo.example", 443, "127.0.0.1", 9),
        ("::1", 80, "::1", 81),
        ("*", 0, "127.0.0.1", 1),
    ]
    assert resolver({}) == []
    assert resolver(None) is None


def test_a_function_may_answer_in_every_form():
    for answer, addresses in [
        (None, None),
        ("127.0.0.1:9", [("127.0.0.1", 9)]),
        ("[::1]:9", [("::1", 9)]),
        (("127.0.0.1", 9), [("127.0.0.1", 9)]),
        (["127.0.0.1:9", ("::1", 8)], [("127.0.0.1", 9), ("::1", 8)]),
        ([], []),
    ]:
        assert resolver(lambda host, port, answer=answer: answer)("a", 1) == addresses
