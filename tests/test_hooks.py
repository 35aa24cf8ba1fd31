"""What is said of a handler that raised or returned something, and handlers that do the worst: they end the program, or
panic the engine."""

from __future__ import annotations

import logging

import pytest

from sunsocket import _hooks, _lifetime


async def coroutine_handler(message):
    pass


@pytest.mark.parametrize(("handler", "what"), [(logging.getLevelName, "getLevelName"), (None, "delivering a message")])
def test_what_a_handler_raises_is_reported_with_its_traceback(caplog, handler, what):
    error = ValueError("on purpose")
    _hooks.failed(error, handler)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert what in record.getMessage()
    assert record.exc_info[1] is error


def test_a_handler_that_was_stopped_at_exit_is_told_without_a_traceback(caplog):
    _hooks.failed(_lifetime.ProgramEnded(), print)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.exc_info is None
    assert "it was stopped" in record.getMessage()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_a_handler_that_ends_the_program_asks_for_its_end(caplog, monkeypatch, error):
    ends = []
    monkeypatch.setattr(_lifetime, "end", lambda: ends.append(1))
    _hooks.failed(error, print)
    assert ends == [1]
    # That Ctrl-C was pressed is no news.
    assert len(caplog.records) == isinstance(error, SystemExit)


def test_what_a_handler_returns_is_dropped_and_a_coroutine_reported(caplog):
    _hooks.returned(3, print)
    assert caplog.records == []
    coroutine = coroutine_handler("x")
    _hooks.returned(coroutine, coroutine_handler)
    (record,) = caplog.records
    assert "coroutine_handler" in record.getMessage()
    assert "use sunsocket.aio" in record.getMessage()
    # It was closed: nobody is told that it was never awaited.
    with pytest.raises(RuntimeError):
        coroutine.send(None)


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(3)"])
@pytest.mark.parametrize("main", ["time.sleep(100)", "ws.OnClose.Wait()", "list(ws)", "pass"])
def test_a_handler_may_end_the_program(run_python, echo, raised, main):
    outcome = run_python(
        f"""
import sys, time
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1])
def handler(message):
    # As with Ctrl-C: a signal between the interpreter's last look for one and the system's sleep wakes nobody.
    time.sleep(0.2)
    raise {raised}
ws.OnMessage.Connect(handler)
ws.Send("x")
try:
    {main}
except KeyboardInterrupt:
    print("interrupted")
""",
        echo.url,
        timeout=15,
    )
    assert outcome.status == 0, outcome
    if main != "pass":
        assert outcome.stdout == "interrupted\n", outcome


PANIC = """
# Every class of exception that the interpreter knows; this one unwinds Rust code that meets it.
try:
    WebSocket.connect("nowhere")
except ValueError:
    pass
(Panic,) = [each for each in BaseException.__subclasses__() if each.__name__ == "PanicException"]
def handler(message):
    raise Panic("on purpose")
"""


def test_a_panic_in_a_delivery_is_reported_and_drops_the_connection_alone(run_python, echo):
    outcome = run_python(
        f"""
import sys, threading
from sunsocket import ConnectionClosed, WebSocket
{PANIC}
ws, other = WebSocket.connect(sys.argv[1]), WebSocket.connect(sys.argv[1])
closed = threading.Event()
ws.OnMessage.Connect(handler)
ws.OnClose.Connect(closed.set)
ws.Send("x")
assert closed.wait(10)
print(ws.close_code)
try:
    ws.Send("x")
except ConnectionClosed:
    print("closed")
got = []
other.OnMessage.Once(got.append)
other.Send("fine")
print(other.recv(5))
other.Close()
""",
        echo.url,
        timeout=15,
    )
    assert outcome.stdout.split() == ["1006", "closed", "fine"], outcome
    assert "sunsocket panicked (on purpose); the connection to ws://127.0.0.1" in outcome.stderr, outcome
    assert "please report it" in outcome.stderr
    assert outcome.status == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_panic_in_a_delivery_on_a_loop(run_python, echo, loop):
    outcome = run_python(
        f"""
import asyncio, sys, uvloop
from sunsocket import WebSocket
from sunsocket.aio import WebSocket as LoopWebSocket
{PANIC}
async def main():
    async with LoopWebSocket.connect(sys.argv[1]) as ws, LoopWebSocket.connect(sys.argv[1]) as other:
        ws.OnMessage.Connect(handler)
        ws.Send("x")
        await ws.OnClose.Wait(10)
        print(ws.close_code)
        other.Send("fine")
        print(await other.recv(5))
with asyncio.Runner(loop_factory={loop}.new_event_loop) as runner:
    runner.run(main())
""",
        echo.url,
        timeout=15,
    )
    assert outcome.stdout.split() == ["1006", "fine"], outcome
    assert "sunsocket panicked (on purpose); the connection to ws://127.0.0.1" in outcome.stderr, outcome
    assert outcome.status == 0


def test_a_panic_in_resolve_is_an_error_and_no_hang(run_python):
    outcome = run_python(
        f"""
import asyncio
from sunsocket import ConnectError, WebSocket
from sunsocket.aio import WebSocket as LoopWebSocket
{PANIC}
def resolve(host, port):
    raise Panic("on purpose")
async def main():
    try:
        await LoopWebSocket.connect("ws://localhost:1", resolve=resolve, open_timeout=None)
    except ConnectError as error:
        print(error)
asyncio.run(main())
""",
        timeout=15,
    )
    assert "resolve raised PanicException: on purpose" in outcome.stdout, outcome
