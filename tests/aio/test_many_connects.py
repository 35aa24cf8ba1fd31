"""Many connects at once on a loop: no thread for any of them, and nothing left of those that were given up.

The loop goes on meanwhile; where it does not, the guardian does.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import os
import resource
import socket
import subprocess
import sys
import threading
import time

import pytest

from sunsocket import State
from sunsocket.aio import WebSocket
from tests.aio.conftest import until
from tests.servers.raw import GUID, PING, PONG, TEXT, frame

#: Descriptors for the connections of one test, both ends of each, and for everything else.
DESCRIPTORS = 4500


@pytest.fixture(autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f"a process may have {hard} descriptors here, and this takes {DESCRIPTORS}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Welcome(asyncio.Protocol):
    """A server of the same loop that opens every WebSocket."""

    def connection_made(self, transport):
        self.transport = transport
        self.head = b""

    def data_received(self, data):
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            key = next(line[19:] for line in self.head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: "))
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1(key + GUID).digest()) + b"\r\n\r\n"
            )


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def descriptors_in_use() -> int:
    return len(os.listdir("/proc/self/fd"))


async def connect(url, **options):
    return await WebSocket.connect(url, **options)


def test_two_thousand_at_once_without_a_thread_for_any(loop):
    async def test():
        server = await asyncio.get_running_loop().create_server(Welcome, "127.0.0.1", 0, backlog=4096)
        port = server.sockets[0].getsockname()[1]
        before = threads()
        tasks = [asyncio.create_task(connect(f"ws://127.0.0.1:{port}/", open_timeout=60)) for _ in range(2000)]
        most = before
        while not all(task.done() for task in tasks):
            most = max(most, threads())
            await asyncio.sleep(0.005)
        sockets = [task.result() for task in tasks]
        assert all(ws.state is State.OPEN for ws in sockets)
        # The guardian, behind the loop.
        assert most - before <= 1
        for ws in sockets:
            ws.abort()
        server.close()

    loop.run(test)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_what_is_cancelled_leaves_nothing(loop, scheme):
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/"

        async def test():
            # What all connections share is there from here on.
            with pytest.raises(TimeoutError):
                await WebSocket.connect(url, open_timeout=0.01)
            gc.collect()
            before = descriptors_in_use(), threads()
            tasks = [asyncio.create_task(connect(url, open_timeout=None)) for _ in range(300)]
            # A few less: what was open before may have been about to close.
            await until(lambda: descriptors_in_use() >= before[0] + 290)
            assert threads() <= before[1] + 1
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            await until(lambda: descriptors_in_use() <= before[0])

        loop.run(test)


def test_others_connect_while_a_connection_floods(loop, raw_server, echo):
    over = threading.Event()

    def script(peer):
        peer.accept()
        flood = frame(TEXT, b"x" * 1000) * 100
        while not over.is_set():
            peer.sock.sendall(flood)

    async def test():
        flooded = await WebSocket.connect(raw_server(script).url)
        flooded.OnMessage.Connect(lambda message: None)
        sockets = await asyncio.wait_for(asyncio.gather(*(connect(echo.url) for _ in range(50))), 20)
        over.set()
        for ws in sockets:
            ws.abort()
        flooded.abort()

    try:
        loop.run(test)
    finally:
        over.set()


def test_an_attempt_goes_on_while_the_loop_is_blocked(loop, raw_server):
    asked, ponged = threading.Event(), threading.Event()

    def script(peer):
        # The first step was the loop's. From here on it does nothing any more.
        asked.wait(10)
        peer.accept(send=frame(PING, b"still there?"))
        received = peer.recv()
        if (received.opcode, received.payload) == (PONG, b"still there?"):
            ponged.set()
        peer.wait_for_end()

    async def test():
        task = asyncio.create_task(connect(raw_server(script).url))
        await asyncio.sleep(0.01)
        asked.set()
        assert ponged.wait(10), "nobody went on with it"
        ws = await task
        ws.abort()

    loop.run(test)


def test_a_byte_a_moment_of_tls_keeps_nobody_waiting(loop, raw_server, echo):
    def script(peer):
        peer.sock.recv(65536)
        # The head of a TLS record, and the start of a long ServerHello.
        for byte in b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + bytes(200):
            peer.sock.sendall(bytes([byte]))
            time.sleep(0.02)

    async def test():
        url = raw_server(script).url.replace("ws:", "wss:")
        slow = asyncio.create_task(connect(url, open_timeout=0.5))
        for _ in range(10):
            async with WebSocket.connect(echo.url) as ws:
                ws.Send("x")
                assert await ws.recv(5) == "x"
        with pytest.raises(TimeoutError, match="setting up TLS"):
            await slow

    loop.run(test)


def test_a_loop_that_ends_gives_up_what_connects(listener):
    async def leave():
        task = asyncio.ensure_future(connect(listener.url))
        await asyncio.sleep(0.01)
        return task

    before = descriptors_in_use()
    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(leave())
    loop.run_until_complete(loop.shutdown_asyncgens())
    # Whoever waits for it is told, if anybody still looks.
    with pytest.raises(OSError, match="aborted by the program"):
        loop.run_until_complete(asyncio.wait_for(task, 5))
    loop.close()
    del task
    assert descriptors_in_use() <= before + 4


ENDS = """
import asyncio, os, sys, time, warnings
# From Python 3.12 on a fork warns of other threads.
warnings.simplefilter("ignore", DeprecationWarning)
from sunsocket.aio import WebSocket
from tests.aio.conftest import until

async def main():
    options = {"resolve": lambda host, port: time.sleep(60) if host == "slow.invalid" else None}
    connects = [WebSocket.connect(url, **options) for url in sys.argv[2:]]
    tasks = [asyncio.ensure_future(connect) for connect in connects]
    await asyncio.sleep(0.05)
    if sys.argv[1] == "exit":
        sys.exit(3)
    if sys.argv[1] == "_exit":
        os._exit(3)
    if sys.argv[1] == "fork":
        child = os.fork()
        if child == 0:
            os._exit(3)
        _, status = os.waitpid(child, 0)
        assert not any(task.done() for task in tasks)
        sys.exit(os.waitstatus_to_exitcode(status))
    raise SystemExit(3)

if sys.argv[1] == "dropped":
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    except SystemExit:
        os.close(2)  # What asyncio says of tasks that were left.
        raise
asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["return", "exit", "_exit", "fork", "dropped"])
def test_a_program_ends_while_it_connects(listener, how):
    urls = [listener.url, listener.url.replace("ws:", "wss:"), "ws://slow.invalid/"]
    result = subprocess.run(
        [sys.executable, "-c", ENDS, how, *urls], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (3, "", "")
