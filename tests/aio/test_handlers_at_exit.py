"""Handlers of a loop on a daemon thread that still run when the program has ended.

Programs of this file are not traced: see `end_handler` in `driving.rs`.
"""

from __future__ import annotations

import pytest

from tests.servers.raw import CLOSE

COMPUTES = "sum(number for number in range(10**10))"
SLEEPS = "while True: time.sleep(0.001)"


@pytest.mark.parametrize("statement", [COMPUTES, SLEEPS], ids=["computes", "sleeps"])
def test_a_daemon_thread_in_a_handler_ends_with_the_program(loop, run_python, raw_server, statement):
    def script(peer):
        peer.accept()
        peer.send(1, b"x")
        assert peer.recv().opcode == CLOSE

    outcome = run_python(
        f"""
import asyncio, sys, threading, time, uvloop
from sunsocket.aio import WebSocket
started = threading.Event()
def handler(message):
    started.set()
    {statement}
async def main():
    ws = await WebSocket.connect(sys.argv[1])
    ws.OnMessage.Connect(handler)
    await ws.OnClose.Wait()
def run():
    with asyncio.Runner(loop_factory={loop.source}) as runner:
        runner.run(main())
threading.Thread(target=run, daemon=True).start()
started.wait(10)
print("end")
""",
        raw_server(script).url,
        flags=(),
        timeout=20,
    )
    assert (outcome.stdout, outcome.status) == ("end\n", 0), outcome
    assert "still ran when the program had ended" in outcome.stderr
