"""The compiled module says of itself what its stub says: names and docstrings. (Signatures are stubtest's.)"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

from sunsocket import _core

FOLDER = Path(_core.__file__).parent
STUB = ast.parse((FOLDER / "_core.pyi").read_text())


def documented():
    for node in STUB.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    yield f"{node.name}.{member.name}", member


NODES = dict(documented())


@pytest.mark.parametrize("name", [name for name in NODES if "._" not in name])
def test_the_docstring_of_the_stub_is_what_help_shows(name):
    value = _core
    for part in name.split("."):
        value = getattr(value, part)
    expected = ast.get_docstring(NODES[name])
    assert expected, "a public name without a docstring"
    assert inspect.cleandoc(value.__doc__ or "") == expected


def test_the_stub_and_the_mark_of_a_typed_package_are_installed():
    assert (FOLDER / "py.typed").is_file()
    assert (FOLDER / "_core.pyi").is_file()


PROGRAM = """
import asyncio

import sunsocket
from sunsocket import TLS, ConnectionClosed, HandshakeError, SignalConnection, State


def threads() -> None:
    ws: sunsocket.WebSocket = sunsocket.connect(
        "wss://echo.example",
        daemon=True,
        headers={"X-One": "1"},
        subprotocols=["chat"],
        tls=TLS(ca_file="ca.pem"),
        open_timeout=None,
        max_held=(10, 1000),
        resolve={"echo.example:443": "127.0.0.1:9"},
    )

    @ws.OnMessage.Connect
    def on_message(message: str | bytes) -> None:
        print(message)

    @ws.on_close.once
    def on_close() -> None:
        print("Closed", ws.close_code)

    connection: SignalConnection = on_message
    connection.Disconnect()
    connected: bool = on_close.Connected
    ws.Send("text")
    ws.send(b"binary", text=False)
    ws.Send(memoryview(b"view"))
    message: str | bytes = ws.recv(timeout=5)
    messages: list[str | bytes] = ws.recv_many(limit=10, timeout=5)
    for message in ws:
        print(message, connected)
    seconds: float = ws.ping(b"x", timeout=1)
    state: State = ws.state
    address: tuple[str, int] | None = ws.remote_address
    headers: list[tuple[str, str]] = ws.response_headers
    failure: sunsocket.Error | None = ws.error
    print(seconds, state, address, headers, ws.latency, failure, ws.url)
    ws.OnClose.Wait(5)
    ws.Close(1000, "end")
    try:
        with sunsocket.WebSocket.connect("ws://echo.example") as other:
            other.flush()
    except HandshakeError as error:
        print(error.status, error.headers, error.body)
    except ConnectionClosed as closed:
        print(closed.code, closed.reason, closed.by_peer)


async def loop() -> None:
    ws: sunsocket.aio.WebSocket
    ws = await sunsocket.aio.connect("ws://echo.example", origin="https://here.example")

    @ws.OnMessage.Connect
    async def on_message(message: str | bytes) -> None:
        await ws.Send(message)

    ws.OnClose.Connect(lambda: print("Closed"))
    on_message.Disconnect()
    message: str | bytes = await ws.recv(timeout=5)
    messages: list[str | bytes] = await ws.recv_many(limit=10, timeout=5)
    async for message in ws:
        print(message)
    seconds: float = await ws.ping()
    await ws.OnMessage.Wait(1)
    await ws.on_close.wait()
    print(seconds, ws.state is State.OPEN)
    async with sunsocket.aio.WebSocket.connect("ws://echo.example") as other:
        await other.send("x")
        other.close()
        await other.Close(1000, "end")
        await other.wait_closed(timeout=1)
    task: asyncio.Task[sunsocket.aio.WebSocket]
    task = asyncio.create_task(sunsocket.aio.connect("ws://echo.example"))
    (await task).abort()


class Mine(sunsocket.aio.WebSocket):
    note = ""


async def subclass() -> str:
    return (await Mine.connect("ws://echo.example")).note


asyncio.run(loop())
threads()
"""

WRONG = """
import sunsocket
import sunsocket.aio

ws = sunsocket.WebSocket.connect("ws://echo.example", timeout=5)
ws.Send(5)
ws.Close("1000")
ws.OnMessage.Connect("print")
ws.url = "x"
ws.OnMessage.Fire("x")
sunsocket.trio


async def loop() -> None:
    other = await sunsocket.aio.WebSocket.connect("ws://echo.example", headers=5)
    message: str | bytes = other.recv()
    for message in other:
        print(message)
    async with ws:
        print("entered")


@ws.on_message
def handler(message: str | bytes) -> None:
    print(message)
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Runs ``mypy --strict`` on a program of a user, against the installed package."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed for this interpreter")
    from mypy import api

    folder = tmp_path_factory.mktemp("typing")

    def run(program):
        path = folder / "program.py"
        path.write_text(program)
        flags = ["--strict", "--config-file=", f"--cache-dir={folder / 'cache'}", "--python-executable", sys.executable]
        stdout, stderr, _ = api.run([*flags, str(path)])
        assert stderr == ""
        return stdout

    return run


@pytest.mark.timeout(120)
def test_a_user_s_program_passes_mypy_strict(check):
    assert check(PROGRAM) == "Success: no issues found in 1 source file\n"


@pytest.mark.timeout(120)
def test_a_user_s_mistakes_are_found_by_mypy(check):
    found = [line.split(":")[1] for line in check(WRONG).splitlines()[:-1] if ": error:" in line]
    assert sorted(map(int, found)) == [5, 6, 7, 8, 9, 10, 11, 15, 16, 17, 19, 19, 23]
