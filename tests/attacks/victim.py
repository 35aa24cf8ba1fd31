"""The program that is attacked: connects to a hostile server again and again, and tells how each connection ended.

Each task has a process of its own, so that its memory can be measured and limited. It prints one line of JSON for each
connection and a last one with the most memory that it took beyond what it had after a connection to a friendly server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sunsocket
import sunsocket.aio
from sunsocket.cli import main

SCRIPT = Path(__file__).with_name("victim.luau")
#: The sockets that a program in the mode "keep" does not let go of.
KEPT: list[object] = []
#: How many messages the mode "chatter" sends.
CHATTER = 2000
#: Address space beyond the start's: a bomb ends this program and not the machine.
SPARE = 768 << 20


class Told:
    """What there is to tell about one connection."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.sent = 0
        self.closed = 0
        self.kind = ""
        self.text = ""
        self.body = ""
        self.code = 0

    def on_message(self, message: str | bytes) -> None:
        self.messages += 1
        self.bytes += len(message)

    def failed(self, error: BaseException) -> None:
        self.kind, self.text = type(error).__name__, str(error)
        self.body = getattr(error, "body", b"").decode("latin-1")

    def listen(self, ws: sunsocket.WebSocket | sunsocket.aio.WebSocket, over: Callable[[], object], mode: str) -> None:
        def on_close() -> None:
            self.closed += 1
            self.code = ws.close_code or 0
            if ws.error is not None:
                self.failed(ws.error)
            over()

        if mode not in ("hold", "stream"):
            ws.OnMessage.Connect(self.on_message)
        ws.OnClose.Connect(on_close)
        if mode == "keep":
            KEPT.append(ws)
        elif mode == "close":
            ws.Close()


def on_threads(url: str, options: dict[str, object], mode: str, task: dict[str, Any]) -> Told:
    told, over = Told(), threading.Event()
    try:
        ws = sunsocket.WebSocket.connect(url, **options)  # type: ignore[arg-type]
    except sunsocket.Error as error:
        told.failed(error)
        return told
    told.listen(ws, over.set, mode)
    if mode == "stream":
        with contextlib.suppress(sunsocket.ConnectionClosed):
            for piece in ws.recv_streaming():
                if told.messages == 0:
                    # Until the flood is over.
                    on_threads(task["friend"] + "pause", {}, "listen", task)
                told.on_message(piece)
    if mode == "send":
        with contextlib.suppress(sunsocket.ConnectionClosed):
            while True:
                ws.Send(bytes(64 << 10), compress=False)
                told.sent += 64 << 10
    for _ in range(CHATTER if mode == "chatter" else mode == "ready"):
        ws.Send("the same message")
    over.wait()
    if mode == "hold":
        with contextlib.suppress(sunsocket.ConnectionClosed):
            while True:
                told.on_message(ws.recv())
    return told


async def on_asyncio(url: str, options: dict[str, object], mode: str, task: dict[str, Any]) -> Told:
    told, over = Told(), asyncio.Event()
    try:
        ws = await sunsocket.aio.WebSocket.connect(url, **options)  # type: ignore[arg-type]
    except sunsocket.Error as error:
        told.failed(error)
        return told
    told.listen(ws, over.set, mode)
    if mode == "stream":
        with contextlib.suppress(sunsocket.ConnectionClosed):
            async for piece in ws.recv_streaming():
                if told.messages == 0:
                    await on_asyncio(task["friend"] + "pause", {}, "listen", task)
                told.on_message(piece)
    if mode == "send":
        with contextlib.suppress(sunsocket.ConnectionClosed):
            while True:
                await ws.Send(bytes(64 << 10), compress=False)
                told.sent += 64 << 10
    for _ in range(CHATTER if mode == "chatter" else mode == "ready"):
        await ws.Send("the same message")
    await over.wait()
    if mode == "hold":
        with contextlib.suppress(sunsocket.ConnectionClosed):
            while True:
                told.on_message(await ws.recv())
    return told


def meet(task: dict[str, Any], url: str, count: int, mode: str) -> list[Told]:
    """The connections, one after the other, and one to the friend for as long as that one wants."""
    face, options, friend = task["face"], task["options"], task["friend"] + task["then"]
    task["then"] = "last"
    if face == "threads":
        told = [on_threads(url, options, mode, task) for _ in range(count)]
        on_threads(friend, {}, "listen", task)
        return told
    if face == "asyncio":

        async def all_of_them() -> list[Told]:
            told = [await on_asyncio(url, options, mode, task) for _ in range(count)]
            await on_asyncio(friend, {}, "listen", task)
            return told

        return asyncio.run(all_of_them())
    flags = ["--cacert", task["ca_file"]] if task["ca_file"] else []
    if "compression" in options:
        flags += ["--compression", options["compression"] or "none"]
    for header in options.get("headers", {}).items():
        flags += ["--header", ": ".join(header)]
    status = main(["run", *flags, str(SCRIPT), url, str(count), mode, friend])
    assert status == 0, status
    return []


def memory(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) << 10
    raise LookupError(name)


def run(task: dict[str, Any]) -> None:
    task["then"] = "first"
    if task["ca_file"] and task["face"] != "luau":
        task["options"]["tls"] = sunsocket.TLS(ca_file=task["ca_file"])
    meet(task, task["friend"], 1, "listen")
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + SPARE, resource.RLIM_INFINITY))
    # From here the peak is counted anew.
    Path("/proc/self/clear_refs").write_text("5")
    before, cpu = memory("VmRSS"), time.process_time()
    print("-- attacks", flush=True)
    told = meet(task, task["url"], task["count"], task["mode"])
    cost = {"peak": memory("VmHWM") - before, "cpu": time.process_time() - cpu}
    for line in [*map(vars, told), cost]:
        print(json.dumps(line))


def serve() -> None:
    """A process for each line of standard input, of which each has all modules already: that is what takes time."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                run(json.loads(line))
            except BaseException:
                traceback.print_exc(file=sys.stdout)
                sys.stdout.flush()
                os._exit(1)
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("-- status", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
