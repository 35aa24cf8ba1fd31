"""100 000 numbered messages of mixed sizes through an echo server over wss: every one comes back, in order.

    .venv/bin/python scripts/torrent.py [--count 100000] [threads] [tasks] [script]

From 8 threads on one socket, 200 asyncio tasks on 50 sockets, and a Luau script; each in a process of its own,
whose peak memory is printed (more than ``MOST_MEMORY`` fails the run). The server is the ``websockets`` library's, in
another process: it is what limits the speed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from sunsocket import TLS, WebSocket
from sunsocket.aio import WebSocket as AioWebSocket

SCRIPTS = Path(__file__).resolve().parent
SIZES = [0, 16, 100, 125, 126, 300, 1000, 2000, 8000, 40_000]
THREADS, TASKS, SOCKETS = 8, 200, 50
MOST_MEMORY = 256 << 20  # the messages are half a gigabyte


def numbered(sender: int, number: int) -> str:
    return f"{sender}:{number}:" + "x" * SIZES[number % len(SIZES)]


class Order:
    """Each sender's messages, whole and in order."""

    def __init__(self) -> None:
        self.next: Counter[int] = Counter()
        self.received = 0

    def take(self, message: str | bytes) -> None:
        assert isinstance(message, str)
        sender, number, payload = message.split(":", 2)
        expected = self.next[int(sender)]
        assert int(number) == expected, f"sender {sender}: {number} came, {expected} was next"
        assert len(payload) == SIZES[expected % len(SIZES)], f"{sender}:{number} was cut short"
        self.next[int(sender)] += 1
        self.received += 1


def threads(url: str, tls: TLS, count: int) -> int:
    order = Order()
    with WebSocket.connect(url, tls=tls) as ws:

        def send(sender: int) -> None:
            for number in range(count // THREADS):
                ws.Send(numbered(sender, number))

        senders = [threading.Thread(target=send, args=(sender,)) for sender in range(THREADS)]
        for thread in senders:
            thread.start()
        while order.received < count // THREADS * THREADS:
            order.take(ws.recv(timeout=60))
        for thread in senders:
            thread.join()
    return order.received


async def tasks(url: str, tls: TLS, count: int) -> int:
    order = Order()
    each = count // TASKS

    async def send(ws: AioWebSocket, sender: int) -> None:
        for number in range(each):
            await ws.Send(numbered(sender, number))

    async def receive(ws: AioWebSocket, senders: int) -> None:
        for _ in range(each * senders):
            order.take(await ws.recv(timeout=60))

    sockets = [await AioWebSocket.connect(url, tls=tls) for _ in range(SOCKETS)]
    await asyncio.gather(
        *(send(sockets[task % SOCKETS], task) for task in range(TASKS)),
        *(receive(ws, TASKS // SOCKETS) for ws in sockets),
    )
    for ws in sockets:
        ws.Close()
        await ws.OnClose.Wait(10)
    return order.received


def child(mode: str, url: str, ca_file: str, count: int) -> None:
    """One run, in its own process: prints how many came back and the peak of its memory."""
    tls = TLS(ca_file=ca_file)
    received = threads(url, tls, count) if mode == "threads" else asyncio.run(tasks(url, tls, count))
    print(received, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def measure(mode: str, url: str, ca_file: str, count: int) -> None:
    if mode == "script":
        sunsocket = Path(sys.executable).with_name("sunsocket")
        command = [str(sunsocket), "run", "--cacert", ca_file, str(SCRIPTS / "torrent.luau"), url, str(count)]
    else:
        command = [sys.executable, __file__, "--child", mode, url, ca_file, str(count)]
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read().split()
        # This child's own peak: getrusage's RUSAGE_CHILDREN is the largest of all.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    if process.returncode != 0:
        sys.exit(f"torrent: {mode}: FAILED with exit status {process.returncode}")
    received, peak = int(output[0]), usage.ru_maxrss * 1024
    print(
        f"torrent: {mode}: {received} messages in {seconds:.1f} s, {received / seconds:,.0f} messages/s, "
        f"peak RSS {peak / 2**20:.0f} MiB of the {MOST_MEMORY >> 20} that it may take",
        flush=True,
    )
    if peak > MOST_MEMORY:
        sys.exit(f"torrent: {mode}: that is more memory than {MOST_MEMORY >> 20} MiB")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        mode, url, ca_file, count = sys.argv[2:]
        child(mode, url, ca_file, int(count))
        return
    parser = argparse.ArgumentParser(description="Sends numbered messages through an echo server over wss.")
    parser.add_argument("modes", nargs="*", default=["threads", "tasks", "script"])
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ca_file = str(Path(folder) / "ca.pem")
        command = [sys.executable, "-m", "sunsocket.echo", "--tls", "--ca-out", ca_file]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            # "echo server at URL (Ctrl-C ends it)"
            url = server.stdout.readline().split()[3]
            try:
                for mode in options.modes:
                    measure(mode, url, ca_file, options.count)
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
