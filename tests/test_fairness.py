"""A flood of messages, and handlers that take their time, leave others their turn; on both faces."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time

import pytest

from sunsocket import ConnectionClosed, WebSocket
from tests.servers.raw import TEXT, frame


def flood(peer):
    """Sends texts for as long as they are taken."""
    peer.accept()
    with contextlib.suppress(OSError):
        while True:
            peer.send(TEXT, b"x" * 100)


@pytest.fixture
def flooded(face, raw_server):
    """Connects to a flood, with a handler that takes 0.2 ms for each message."""

    async def connect():
        ws = await face.connect(raw_server(flood).url)
        count = 0

        def handler(_message):
            nonlocal count
            count += 1
            time.sleep(0.0002)

        ws.OnMessage.Connect(handler)
        await face.until(lambda: count > 5000)
        return ws

    return connect


def test_a_quiet_socket_is_heard_beside_a_flooded_one(face, echo, flooded):
    async def test():
        loud = await flooded()
        quiet = await face.connect(echo.url)
        got = []
        quiet.OnMessage.Connect(got.append)
        for number in range(5):
            quiet.Send(str(number))
            await face.until(lambda number=number: len(got) > number)
        loud.abort()
        quiet.Close()

    face.run(test)


def test_a_quiet_socket_is_heard_beside_a_flood_over_tls_that_nobody_takes(face, raw_server, echo, certificates, tls):
    # Bytes are always left inside TLS, of which the poller does not know.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.good)
    block = frame(TEXT, "\u00e9".encode() * 30) * 20_000
    flooding = threading.Event()

    def flood_blocks(peer):
        peer.accept()
        with contextlib.suppress(OSError):
            while True:
                peer.sock.sendall(block)
                flooding.set()

    async def test():
        loud = await face.connect(raw_server(flood_blocks, context=context).url, tls=tls)
        loud.OnMessage.Connect(lambda message: None)
        await face.until(flooding.is_set)
        quiet = await face.connect(echo.url)
        got = []
        quiet.OnMessage.Connect(got.append)
        for number in range(20):
            quiet.Send(str(number))
            await face.until(lambda number=number: len(got) > number)
        loud.abort()
        quiet.Close()

    face.run(test)


def test_other_tasks_run_beside_a_flooded_socket(face, flooded):
    if not face.is_async:
        return

    async def test():
        loud = await flooded()
        for _ in range(20):
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await asyncio.sleep(0.05)
        loud.abort()

    face.run(test)


def test_other_tasks_run_beside_one_that_only_sends(face, echo):
    if not face.is_async:
        return

    async def test():
        ws = await face.connect(echo.url)
        rounds, done = 0, False

        async def count():
            nonlocal rounds, done
            for _ in range(20):
                rounds += 1
                await asyncio.sleep(0)
            done = True

        task = asyncio.create_task(count())
        sent = 0
        while not done:
            # There is always room: nobody waits for more than a few bytes.
            await ws.Send(b"")
            sent += 1
            assert sent < 200_000, f"the other task had {rounds} turns"
        await task
        ws.abort()

    face.run(test)


def test_pings_and_closes_of_many_threads_do_not_lock_each_other_up(run_python, echo):
    # In a program of its own: what locks up is the whole process.
    outcome = run_python(
        """
import sys, threading
from sunsocket import ConnectionClosed, WebSocket
for _ in range(100):
    ws = WebSocket.connect(sys.argv[1])
    begun = threading.Barrier(4)
    def until_closed(call):
        begun.wait()
        try:
            while True:
                call()
        except ConnectionClosed:
            pass
    calls = [ws.recv, ws.ping, ws.ping]
    threads = [threading.Thread(target=until_closed, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    begun.wait()
    ws.ping()
    ws.Close()
    for thread in threads:
        thread.join()
print("end")
""",
        echo.url,
        timeout=60,
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("end\n", "", 0), outcome


def test_nothing_fires_after_close_that_others_took_before(raw_server):
    def script(peer):
        peer.accept()
        for number in range(20):
            peer.send(TEXT, b"%d" % number)
        peer.finish()

    ws = WebSocket.connect(raw_server(script).url)
    fired = []
    first, go_on = threading.Event(), threading.Event()

    def handler(message):
        fired.append(message)
        first.set()
        go_on.wait(10)

    ws.OnMessage.Connect(handler)
    assert first.wait(10)
    # Each is for the handler too, as soon as it may run.
    for _ in range(10):
        ws.recv(5)
    ws.Close()
    go_on.set()
    ws.OnClose.Wait(5)
    with pytest.raises(ConnectionClosed):
        ws.recv(1)
    assert fired == ["0"]


def test_the_dispatcher_sleeps_while_a_thread_takes_a_flood_message_by_message(run_python, raw_server):
    def large(peer):
        peer.accept()
        some = frame(TEXT, b"x" * 60_000) * 10
        with contextlib.suppress(OSError):
            while True:
                peer.sock.sendall(some)

    outcome = run_python(
        """
import pathlib, sys, time
from sunsocket import WebSocket

def cpu_of_others():
    # Nanoseconds of CPU time of all threads but this one.
    tasks = pathlib.Path("/proc/self/task").iterdir()
    own = str(__import__("threading").get_native_id())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks if task.name != own)

ws = WebSocket.connect(sys.argv[1])
ws.recv()
busy = 1.0
# Where this thread is stopped for long, on a busy machine, the dispatcher reads in its place: but not each time.
for _ in range(8):
    before, start = cpu_of_others(), time.perf_counter()
    for _ in range(10_000):
        ws.recv()
    busy = min(busy, (cpu_of_others() - before) / 1e9 / (time.perf_counter() - start))
    if busy < 0.1:
        break
ws.abort()
print("sleeps", busy < 0.1 or busy)
""",
        raw_server(large).url,
    )
    assert (outcome.stdout, outcome.stderr) == ("sleeps True\n", ""), outcome
