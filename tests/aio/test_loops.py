"""Loops: several in one process, one after the other and at once; closed with sockets open; nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading

import pytest

from sunsocket.aio import WebSocket

FLAGS = ("-X", "dev", "-W", "error")


def test_two_loops_one_after_the_other(loop, echo):
    async def test():
        async with WebSocket.connect(echo.url) as ws:
            ws.Send("x")
            assert await ws.recv(5) == "x"

    loop.run(test)
    loop.run(test)


def test_two_loops_in_two_threads(loop, echo):
    both = threading.Barrier(2, timeout=10)
    got = {}

    def work(name):
        async def test():
            async with WebSocket.connect(echo.url) as ws:
                both.wait()
                for number in range(200):
                    await ws.Send(f"{name}{number}")
                got[name] = [await ws.recv(5) for _ in range(200)]

        loop.run(test)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {name: [f"{name}{number}" for number in range(200)] for name in "ab"}


def test_both_faces_in_one_process(loop, echo):
    import sunsocket

    async def test():
        async with WebSocket.connect(echo.url) as ws:
            with sunsocket.WebSocket.connect(echo.url) as other:
                ws.Send("loop")
                other.Send("thread")
                assert await ws.recv(5) == "loop"
                assert await asyncio.to_thread(other.recv, 5) == "thread"

    loop.run(test)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def system_threads() -> list[str]:
    names = []
    for task in os.listdir("/proc/self/task"):
        # One that has ended since they were listed is none.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/self/task/{task}/comm") as file:
            names.append(file.read().strip())
    return sorted(names)


@pytest.mark.parametrize("end", ["closed", "left open", "aborted"])
def test_loops_leave_no_descriptors_and_no_threads(loop, echo, end):
    async def test():
        ws = await WebSocket.connect(echo.url)
        ws.OnMessage.Connect(lambda message: None)
        ws.Send("x")
        assert await ws.recv(5) == "x"
        if end == "closed":
            ws.Close()
            await ws.OnClose.Wait(5)
        elif end == "aborted":
            ws.abort()

    before = settle(loop, test)
    for _ in range(20):
        loop.run(test)
    after = settle(loop, test)
    # The server is in this process too, and may have had more to close before.
    assert after[0] <= before[0]
    assert after[1] == before[1]


def settle(loop, test):
    """Descriptors and threads, once the threads that are ending have ended."""
    loop.run(test)
    gc.collect()
    state = descriptors(), system_threads()
    for _ in range(500):
        before, state = state, (descriptors(), system_threads())
        if before == state and "sunsocket-connect" not in str(state):
            threading.Event().wait(0.01)
            if state == (descriptors(), system_threads()):
                break
    return state


def test_a_loop_that_was_closed_without_its_generators_is_forgotten(loop, echo):
    async def test():
        ws = await WebSocket.connect(echo.url)
        ws.Close()
        await ws.OnClose.Wait(5)

    def once():
        new = loop.factory()
        new.run_until_complete(test())
        new.close()

    once()
    gc.collect()
    before = descriptors()
    for _ in range(10):
        once()
    gc.collect()
    assert descriptors() <= before + 2


def test_closing_the_loop_with_sockets_open_fires_on_close(loop, raw_server):
    codes, fired = [], []

    def script(peer):
        peer.accept()
        codes.append(peer.recv_close().code)

    server = raw_server(script)

    async def test():
        ws = await WebSocket.connect(server.url)
        ws.OnClose.Connect(lambda: fired.append("closed"))

    loop.run(test)
    server.join()
    assert (codes, fired) == ([1001], ["closed"])


@pytest.mark.parametrize(
    "body",
    [
        "ws = await WebSocket.connect(url); ws.OnMessage.Connect(print)",
        "ws = await WebSocket.connect(url); ws.Send('x')",
        "await WebSocket.connect(url)",
        "globals().update(ws=await WebSocket.connect(url))",
        "ws = await WebSocket.connect(url); asyncio.ensure_future(ws.recv()); await asyncio.sleep(0)",
        "ws = await WebSocket.connect(url); asyncio.ensure_future(ws.OnClose.Wait()); await asyncio.sleep(0)",
        "asyncio.ensure_future(WebSocket.connect(url)); await asyncio.sleep(0)",
        "connecting = asyncio.ensure_future(WebSocket.connect('ws://no-such-host.invalid')); "
        "connecting.add_done_callback(lambda done: done.cancelled() or done.exception()); await asyncio.sleep(0)",
        "ws = await WebSocket.connect(url); ws.OnClose.Connect(coroutine)",
        "ws = await WebSocket.connect(url); ws.OnClose.Connect(asyncio.get_running_loop().create_future)",
        "ws = await WebSocket.connect(url); ws.Send('x'); ws.OnMessage.Connect(coroutine); await ws.OnMessage.Wait()",
        "ws = await WebSocket.connect(url); iterator = aiter(ws); ws.Send('x'); await anext(iterator)",
        "ws = await WebSocket.connect(url, write_limit=(2, 1)); asyncio.ensure_future(ping(ws)); await ws.Send('xx')",
        "ws = await WebSocket.connect(url); ws.Close()",
    ],
)
def test_a_program_that_ends_with_sockets_open_is_quiet(loop, run_python, echo, body):
    # uvloop 0.23 in debug mode reads the stack wrongly from Python 3.12 on where a generator is dropped in a loop, and
    # may crash: a generator of two lines shows it, without sockets.
    debug = loop.name == "asyncio" or "aiter" not in body or sys.version_info < (3, 12)
    outcome = run_python(
        f"""
import asyncio, sys, uvloop
from sunsocket.aio import WebSocket
url = sys.argv[1]
async def coroutine(*_):
    await asyncio.sleep(100)
async def ping(ws):
    await ws.ping()
async def main():
    {body}
with asyncio.Runner(loop_factory={loop.source}) as runner:
    runner.run(main())
print("end")
""",
        echo.url,
        flags=FLAGS if debug else ("-W", "error"),
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("end\n", "", 0), outcome


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(3)"])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_handler_may_end_the_program(loop, run_python, echo, raised, kind):
    outcome = run_python(
        f"""
import asyncio, sys, uvloop
from sunsocket.aio import WebSocket
{kind} handler(message):
    raise {raised}
async def main():
    async with WebSocket.connect(sys.argv[1]) as ws:
        ws.OnMessage.Connect(handler)
        ws.Send("x")
        await asyncio.sleep(100)
try:
    with asyncio.Runner(loop_factory={loop.source}) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("interrupted")
""",
        echo.url,
    )
    expected = ("interrupted\n", 0) if raised == "KeyboardInterrupt" else ("", 3)
    assert (outcome.stdout, outcome.status) == expected, outcome
    assert "Task exception was never retrieved" not in outcome.stderr, outcome


def test_ctrl_c_ends_the_program_quietly(loop, start_python, echo):
    import signal

    process = start_python(
        f"""
import asyncio, sys, uvloop
from sunsocket.aio import WebSocket
async def main():
    async with WebSocket.connect(sys.argv[1]) as ws:
        print("ready", flush=True)
        async for message in ws:
            pass
try:
    with asyncio.Runner(loop_factory={loop.source}) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("interrupted")
""",
        echo.url,
        flags=FLAGS,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, stderr, process.returncode) == ("interrupted\n", "", 0)


def test_the_child_of_a_fork_never_hangs_on_its_parent_s_socket(loop, run_python, echo):
    outcome = run_python(
        f"""
import asyncio, os, sys, uvloop, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from sunsocket import ConnectionClosed
from sunsocket.aio import WebSocket
async def child(ws):
    for call in (ws.OnMessage.Wait, ws.recv, ws.ping):
        try:
            await call()
        except ConnectionClosed as error:
            assert "fork" in str(error), error
        else:
            raise SystemExit("no error")
    await ws.OnClose.Wait()
    async with ws:
        pass
    async with WebSocket.connect(sys.argv[1]) as mine:
        mine.Send("child")
        print(await mine.recv(5), flush=True)
async def main():
    return await WebSocket.connect(sys.argv[1])
with asyncio.Runner(loop_factory={loop.source}) as runner:
    ws = runner.run(main())
    pid = os.fork()
    if pid == 0:
        with asyncio.Runner(loop_factory={loop.source}) as mine:
            mine.run(child(ws))
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    async def after():
        ws.Send("after")
        print(await ws.recv(5))
    runner.run(after())
""",
        echo.url,
        timeout=15,
    )
    assert outcome.stdout.split() == ["child", "7", "after"], outcome


def test_messages_that_nobody_took_keep_nothing_of_a_closed_connection(echo, loop):
    async def one():
        ws = await WebSocket.connect(echo.url + "close")
        await ws.OnClose.Wait(10)
        # One is taken; the other two are never asked for.
        assert await ws.recv() == "0"

    async def test():
        await one()
        before = descriptors()
        for _ in range(50):
            await one()
        for _ in range(1000):
            gc.collect()
            if descriptors() <= before:
                break
            await asyncio.sleep(0.01)
        assert descriptors() <= before + 2

    loop.run(test)
