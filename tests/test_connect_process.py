"""Connecting and the process: without descriptors, at its end, interrupted, and after a fork."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from sunsocket import WebSocket

#: A program with no descriptor left until it says so; what it prints is compared.
WITHOUT_DESCRIPTORS = """
import asyncio, os, resource, sys
import sunsocket
from sunsocket import aio

def run(connect):
    # The loop's own descriptors are there before.
    async def main():
        for number in range(2):
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            spare = os.open(os.devnull, os.O_RDONLY)
            os.close(spare)
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
            try:
                await connect(sys.argv[1])
            except sunsocket.ConnectError as error:
                print(type(error).__name__, "ulimit -n" in str(error))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        ws = await connect(sys.argv[1])
        print(ws.state.name)
        ws.abort()
    asyncio.run(main())

async def connect_here(url):
    return sunsocket.WebSocket.connect(url, warn_in_loop=False)

async def connect_there(url):
    return await aio.WebSocket.connect(url)

run(connect_here if sys.argv[2] == "threads" else connect_there)
"""


@pytest.mark.parametrize("which", ["threads", "asyncio"])
def test_no_connect_without_descriptors_is_anything_else_than_a_connect_error(echo, which):
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS, echo.url, which],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("ConnectError True\nConnectError True\nOPEN\n", "")


#: A program that ends while a thread of it is in `connect`, and a function of the program's computes.
ENDS_IN_RESOLVE = """
import threading
from sunsocket import WebSocket

begun = threading.Event()

def resolve(host, port):
    begun.set()
    while True:
        sum(range(1000))

threading.Thread(target=WebSocket.connect, args=("ws://x",), kwargs={"resolve": resolve}, daemon=True).start()
begun.wait(10)
print("ends")
"""


def test_a_program_ends_while_a_resolve_function_computes():
    result = subprocess.run(
        [sys.executable, "-c", ENDS_IN_RESOLVE], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "ends\n", "")


#: A program that is interrupted while it connects; what each step waits for never comes.
INTERRUPTED = """
import _thread, os, signal, sys, threading, time
from sunsocket import WebSocket

def resolve(host, port):
    interrupt()
    time.sleep(30)

def interrupt():
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

options = {"resolve": resolve} if sys.argv[2] == "resolve" else {}
if not options:
    interrupt()
start = time.monotonic()
try:
    WebSocket.connect(sys.argv[1], **options)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - start < 3)
"""


@pytest.mark.parametrize("step", ["resolve", "dial", "secure", "upgrade"])
def test_ctrl_c_ends_every_step(raw_server, step):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        server = raw_server(lambda peer: peer.wait_for_end())
        url = {
            "resolve": "ws://a.invalid/",
            "dial": f"ws://127.0.0.1:{full.getsockname()[1]}/",
            "secure": server.url.replace("ws:", "wss:"),
            "upgrade": server.url,
        }[step]
        result = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, url, step], capture_output=True, text=True, timeout=60, check=False
        )
        assert (result.stdout, result.stderr) == ("interrupted True\n", "")
        for filler in fillers:
            filler.close()


def test_names_are_looked_up_in_the_child_of_a_fork(echo):
    url = f"ws://localhost:{echo.port}/"
    WebSocket.connect(url).abort()
    program = """
import os, sys
from sunsocket import WebSocket

def connect():
    ws = WebSocket.connect(sys.argv[1], open_timeout=10)
    ws.Send("x")
    print(ws.recv(5), flush=True)
    ws.abort()

connect()
for _ in range(2):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        break
    connect()
"""
    result = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.stdout, result.returncode) == ("x\n" * 3, 0), result.stderr
