"""The option ``resolve``: a table or a function in place of DNS, and the time that a function takes."""

from __future__ import annotations

import contextvars
import threading
import time

import pytest

from sunsocket import ConnectError, ConnectTimeout
from tests.test_connect import closed_port


def test_addresses_may_be_given_in_place_of_dns(face, echo):
    async def test():
        port = echo.port
        tables = [
            {"echo.invalid:80": f"127.0.0.1:{port}"},
            {"ECHO.invalid:80": ("127.0.0.1", port)},
            {"*": f"127.0.0.1:{port}"},
            lambda host, asked: ("127.0.0.1", port) if (host, asked) == ("echo.invalid", 80) else None,
            lambda host, asked: [f"127.0.0.1:{closed_port()}", f"127.0.0.1:{port}"],
        ]
        for resolve in tables:
            ws = await face.connect("ws://echo.invalid/headers", resolve=resolve)
            assert ws.url == "ws://echo.invalid/headers"
            assert ws.remote_address == ("127.0.0.1", port)
            lines = [await face.do(ws.recv(5)) for _ in range(2)]
            assert "Host: echo.invalid" in lines
            ws.abort()

    face.run(test)


def test_a_table_is_asked_for_host_and_port_before_its_star(face, echo):
    async def test():
        port = echo.port
        nobody = f"127.0.0.1:{closed_port()}"
        tables = [
            {"a.invalid:80": f"127.0.0.1:{port}", "*": nobody},
            {"*": f"127.0.0.1:{port}", "a.invalid:81": nobody},
        ]
        for table in tables:
            ws = await face.connect("ws://a.invalid/", resolve=table)
            ws.abort()
        # What is not in the table is asked of DNS, or is an address.
        ws = await face.connect(f"ws://127.0.0.1:{port}/", resolve={"a.invalid:80": nobody})
        ws.abort()

    face.run(test)


def test_open_timeout_holds_while_a_resolve_function_runs(face):
    over = threading.Event()

    def resolve(host, port):
        over.wait(30)

    async def test():
        start = time.monotonic()
        with pytest.raises(ConnectTimeout, match=r"program's function resolve when open_timeout \(0\.3 s\)"):
            await face.connect("ws://localhost:1/", resolve=resolve, open_timeout=0.3)
        assert 0.25 < time.monotonic() - start < 3

    try:
        face.run(test)
    finally:
        over.set()


def test_functions_that_never_return_do_not_keep_others_from_connecting(face, echo):
    over = threading.Event()

    async def test():
        for _ in range(10):
            with pytest.raises(ConnectTimeout):
                await face.connect("ws://a.invalid/", resolve=lambda host, port: over.wait(60), open_timeout=0.01)
        ws = await face.connect("ws://a.invalid/", resolve=lambda host, port: f"127.0.0.1:{echo.port}")
        ws.abort()

    try:
        face.run(test)
    finally:
        over.set()


def test_a_resolve_function_sees_the_context_of_whoever_connects(face, echo):
    name = contextvars.ContextVar("name", default="nobody")
    seen = []

    def resolve(host, port):
        seen.append((name.get(), threading.current_thread() is not threading.main_thread()))
        return f"127.0.0.1:{echo.port}"

    async def test():
        name.set("somebody")
        ws = await face.connect("ws://a.invalid/", resolve=resolve)
        ws.abort()

    face.run(test)
    assert seen == [("somebody", True)]


def test_a_resolve_function_that_raises_is_the_error(face):
    def resolve(host, port):
        raise LookupError("no table")

    async def test():
        with pytest.raises(ConnectError, match=r"resolve.*LookupError.*no table") as raised:
            await face.connect("ws://localhost:1/", resolve=resolve)
        assert isinstance(raised.value.__cause__, LookupError)

    face.run(test)


@pytest.mark.parametrize("answer", ["nowhere", "not-an-address:80", 5, [5], [("127.0.0.1",)], ("127.0.0.1", 70000)])
def test_a_resolve_function_that_answers_nonsense_is_the_error(face, answer):
    async def test():
        with pytest.raises(ConnectError, match="resolve"):
            await face.connect("ws://localhost:1/", resolve=lambda host, port: answer)

    face.run(test)


def test_a_resolve_function_that_knows_no_address(face):
    async def test():
        with pytest.raises(ConnectError, match="has no address"):
            await face.connect("ws://localhost:1/", resolve=lambda host, port: [])

    face.run(test)
