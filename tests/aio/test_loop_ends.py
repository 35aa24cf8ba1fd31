"""However a loop ends with sockets open, their servers are sent a Close with 1001, and nobody waits for the answer."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sunsocket import _log
from sunsocket._lifetime import ProgramEnded
from sunsocket._loop import hooks_of
from sunsocket.aio import WebSocket

HEAD = """
import asyncio, gc, sys, threading, time, uvloop
from sunsocket.aio import WebSocket
async def main():
    ws = await WebSocket.connect(sys.argv[1])
    ws.OnClose.Connect(lambda: print("closed", flush=True))
    return ws
"""

PROGRAMS = {
    "a runner": "with asyncio.Runner(loop_factory={factory}) as runner: ws = runner.run(main())",
    "closed without its generators": """
loop = {factory}()
ws = loop.run_until_complete(main())
loop.close()
""",
    "dropped without a word": """
async def unwatched():
    sys.set_asyncgen_hooks(firstiter=None, finalizer=None)  # what nest_asyncio leaves
    ws = await main()
{factory}().run_until_complete(unwatched())
gc.collect()
""",
    "left as it is": """
loop = {factory}()
ws = loop.run_until_complete(main())
""",
    "running on a daemon thread": """
opened = threading.Event()
async def forever():
    ws = await main()
    opened.set()
    await asyncio.sleep(1000)
def run():
    with asyncio.Runner(loop_factory={factory}) as runner:
        runner.run(forever())
threading.Thread(target=run, daemon=True).start()
opened.wait(10)
""",
}


@pytest.mark.parametrize("how", PROGRAMS)
def test_the_server_is_sent_a_close(loop, run_python, raw_server, how):
    closes = []

    def script(peer):
        peer.accept()
        closes.append(peer.recv_close().code)
        # No answer.
        peer.wait_for_end()

    server = raw_server(script)
    start = time.monotonic()
    outcome = run_python(HEAD + PROGRAMS[how].format(factory=loop.source), server.url, flags=(), timeout=20)
    server.join()
    assert closes == [1001]
    assert (outcome.status, outcome.stderr) == (0, ""), outcome
    # On a thread that is not the loop's no handler of it runs.
    assert outcome.stdout == ("" if how == "running on a daemon thread" else "closed\n")
    assert time.monotonic() - start < 10


def test_a_loop_that_runs_elsewhere_rests_while_the_program_ends(loop, echo):
    hooks = []
    ended = threading.Event()

    def run():
        async def main():
            ws = await WebSocket.connect(echo.url)
            closed = asyncio.Event()
            ws.OnClose.Connect(closed.set)
            hooks.append(hooks_of(asyncio.get_running_loop()))
            await closed.wait()

        loop.run(main)
        ended.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not hooks:
        time.sleep(0.001)
    hooks[0].leave()
    # It was told to rest for as long as the end of a program takes; this one goes on.
    assert ended.wait(10)
    thread.join()


def test_what_a_handler_raises_when_its_loop_is_closed_is_logged(loop, echo, caplog):
    async def test():
        ws = await WebSocket.connect(echo.url)
        return ws, hooks_of(asyncio.get_running_loop())

    closed = loop.factory()
    _socket, hooks = closed.run_until_complete(test())
    closed.close()
    hooks.stop()
    hooks.failed(LookupError("late"), print)
    hooks.failed(ProgramEnded(), print)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "the handler print raised" in caplog.text
    assert "LookupError: late" in caplog.text
    assert "the handler print still ran when the program had ended" in caplog.text


def test_a_failure_of_delivering_is_named(caplog):
    _log.failed(LookupError("nobody's"), None)
    assert "delivering a message raised" in caplog.text
