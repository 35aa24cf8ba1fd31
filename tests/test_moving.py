"""Moving in from other libraries: names that people bring along, and what is said to them."""

from __future__ import annotations

import asyncio

import pytest

import sunsocket
import sunsocket.aio
from sunsocket import WebSocket


def test_connect_is_there_without_the_class(echo):
    assert sunsocket.connect == WebSocket.connect
    with sunsocket.connect(echo.url) as ws:
        assert type(ws) is WebSocket
        ws.Send("x")
        assert ws.recv(5) == "x"


def test_connect_is_there_without_the_class_on_asyncio(echo):
    assert sunsocket.aio.connect == sunsocket.aio.WebSocket.connect

    async def test():
        async with sunsocket.aio.connect(echo.url) as ws:
            assert type(ws) is sunsocket.aio.WebSocket

    asyncio.run(test())


def test_aio_is_imported_when_it_is_named(run_python):
    outcome = run_python(
        """
import sys
import sunsocket
print("aio" in dir(sunsocket), "sunsocket.aio" in sys.modules, "asyncio" in sys.modules)
print(sunsocket.aio.WebSocket, "sunsocket.aio" in sys.modules)
print(sunsocket.aio is sys.modules["sunsocket.aio"])
"""
    )
    assert outcome.stderr == "", outcome
    assert outcome.stdout.splitlines()[1:] == ["<class 'sunsocket.aio.WebSocket'> True", "True"]
    assert outcome.stdout.startswith("True False ")


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'sunsocket' has no attribute 'trio'"):
        _ = sunsocket.trio
    assert "aio" in dir(sunsocket)
    assert sunsocket.__getattr__("aio") is sunsocket.aio


# An option as another library calls it, a value, and what the answer names.
FOREIGN = [
    # websockets
    ("additional_headers", {"A": "b"}, "headers="),
    ("extra_headers", {"A": "b"}, "headers="),
    ("ssl", None, "tls=sunsocket.TLS("),
    ("max_size", 1 << 20, "max_message_size="),
    ("max_queue", 16, "max_held="),
    ("user_agent_header", "x", "user_agent="),
    ("close_timeout_", 1, "close_timeout"),
    # websocket-client
    ("header", ["A: b"], "headers="),
    ("sslopt", {}, "tls=sunsocket.TLS("),
    ("timeout", 5, "open_timeout="),
    ("cookie", "a=b", "cookies="),
    ("on_message", print, "ws.OnMessage.Connect(handler)"),
    ("on_close", print, "ws.OnClose.Connect(handler)"),
    ("on_open", print, "open when connect() returns"),
    ("on_error", print, "ws.error"),
    ("http_proxy_host", "proxy.example", "proxy="),
    ("enable_multithread", True, "every method may be called from any thread"),
    # aiohttp, httpx-ws and others
    ("ssl_context", None, "tls=sunsocket.TLS("),
    ("verify", False, "tls=sunsocket.TLS("),
    ("ca_file", "ca.pem", "tls=sunsocket.TLS(ca_file=...)"),
    ("cert_file", "c.pem", "tls=sunsocket.TLS(cert_file=...)"),
    ("server_hostname", "a", "tls=sunsocket.TLS(server_hostname=...)"),
    ("max_msg_size", 1, "max_message_size="),
    ("heartbeat", 30, "ping_interval="),
    ("protocols", ["chat"], "subprotocols="),
    ("compress", 15, "compression="),
    ("receive_timeout", 5, "recv(timeout=...)"),
    # Nearly ours.
    ("heders", {}, "did you mean 'headers'"),
    ("ping_intervall", 5, "did you mean 'ping_interval'"),
]


@pytest.mark.parametrize(("name", "value", "says"), FOREIGN)
def test_the_option_of_another_library_is_told_ours(face, listener, name, value, says):
    async def test():
        with pytest.raises(TypeError) as raised:
            await face.connect(listener.url, **{name: value})
        assert str(raised.value).startswith(f"connect() has no option {name!r}")
        assert says in str(raised.value)
        assert not listener.was_tried()

    face.run(test)


def test_what_nobody_calls_so_is_told_all_options(listener):
    with pytest.raises(TypeError, match=r"no option 'zzz'; it has auth, close_timeout, .*, write_limit$"):
        WebSocket.connect(listener.url, zzz=1)


def test_daemon_is_for_threads(listener):
    async def test():
        with pytest.raises(TypeError, match=r"daemon.*threads alone"):
            await sunsocket.aio.WebSocket.connect(listener.url, daemon=True)

    asyncio.run(test())
