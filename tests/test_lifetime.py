"""How programs end with sockets open, and what thousands of connections leave behind."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from pathlib import Path

import pytest

from sunsocket import ConnectError, WebSocket
from tests.servers.raw import BINARY, CLOSE, frame

SETUP = """
import os, sys, threading
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1])
silent = WebSocket.connect(sys.argv[1])
"""


@pytest.fixture
def closes(raw_server):
    """A server that notes how each client said good-bye."""
    codes = []

    def script(peer):
        peer.accept()
        try:
            received = peer.recv_close()
        except (EOFError, OSError):
            codes.append("dropped")
            return
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    server = raw_server(script)
    server.codes = codes
    return server


def ended(server) -> list[object]:
    server.join()
    return server.codes


def test_sys_exit_with_sockets_open_closes_them(run_python, closes):
    outcome = run_python(SETUP + "sys.exit(3)", closes.url, timeout=15)
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("", "", 3), outcome
    assert ended(closes) == [1001, 1001]


def test_sys_exit_with_a_listener_lives_until_the_socket_closes(run_python, echo):
    outcome = run_python(
        """
import sys
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1] + "close")
ws.OnClose.Connect(lambda: print("closed", ws.close_code))
sys.exit(3)
""",
        echo.url,
        timeout=15,
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("closed 4000\n", "", 3), outcome


def test_ctrl_c_that_nobody_catches_ends_a_program_with_a_listener(start_python, closes):
    process = start_python(
        """
import sys, time
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1])
ws.OnMessage.Connect(print)
print("ready", flush=True)
time.sleep(100)
""",
        closes.url,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=15)
    assert stderr.endswith("KeyboardInterrupt\n")
    assert process.returncode == -signal.SIGINT
    assert ended(closes) == [1001]


def test_an_uncaught_error_with_sockets_open(run_python, closes):
    outcome = run_python(SETUP + "raise LookupError('mine')", closes.url, timeout=15)
    assert outcome.status == 1, outcome
    assert outcome.stderr.endswith("LookupError: mine\n"), outcome
    assert outcome.stderr.count("Traceback") == 1
    assert ended(closes) == [1001, 1001]


def test_a_program_that_goes_on_after_an_error_says_so(start_python, closes):
    """It would look as if it hung."""
    process = start_python(
        SETUP + "ws.OnMessage.Connect(print); raise LookupError('mine')", closes.url + "?token=secret", flags=()
    )
    lines = []
    while "sunsocket:" not in (line := process.stderr.readline()):
        assert line, lines
        lines.append(line)
    assert lines[-1] == "LookupError: mine\n"
    assert line == (
        f"sunsocket: the program goes on with its handlers, still open: {closes.url}?…; Ctrl-C ends it; "
        "daemon=True would not have kept it\n"
    )
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=15) == ("", "")
    assert process.returncode == 1
    assert ended(closes) == [1001, 1001]


def test_os_exit_ends_at_once(run_python, closes):
    outcome = run_python(SETUP + "ws.OnMessage.Connect(print); os._exit(4)", closes.url, timeout=15)
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("", "", 4), outcome
    assert ended(closes) == ["dropped", "dropped"]


def test_an_exit_with_a_handler_that_never_returns_is_bounded(end_with_a_handler):
    outcome = end_with_a_handler("threading.Event().wait()")
    assert (outcome.stdout, outcome.status) == ("end\n", 0), outcome


def test_the_child_that_a_handler_forks_ends_with_the_handler(run_python, echo):
    outcome = run_python(
        """
import os, sys, threading, warnings
from sunsocket import WebSocket
warnings.simplefilter("ignore")
ws = WebSocket.connect(sys.argv[1])
children, forked = [], threading.Event()
def handler(message):
    child = os.fork()
    if child:
        children.append(child)
        forked.set()
ws.OnMessage.Connect(handler)
ws.Send("x")
forked.wait(10)
print(os.waitpid(children[0], 0)[1])
ws.Close()
""",
        echo.url,
        timeout=20,
    )
    assert (outcome.stdout, outcome.status) == ("0\n", 0), outcome


def test_a_connect_in_an_exit_function(run_python, echo):
    outcome = run_python(
        """
import atexit, sys, threading
atexit.register(lambda: too_late())
from sunsocket import WebSocket
def connect():
    ws = WebSocket.connect(sys.argv[1])
    got, fired = [], threading.Event()
    ws.OnMessage.Connect(lambda message: (got.append(message), fired.set()))
    ws.Send("x")
    fired.wait(5)
    print("in time", got)
    ws.Close()
def too_late():
    try:
        connect()
    except RuntimeError as error:
        print(error)
atexit.register(connect)
# From here on our own exit function comes before that one.
WebSocket.connect(sys.argv[1]).Close()
""",
        echo.url,
        timeout=15,
    )
    assert outcome.stdout == "in time ['x']\ncannot connect any more: the program is ending\n", outcome
    assert (outcome.stderr, outcome.status) == ("", 0), outcome


def test_sockets_in_reference_cycles_and_globals_at_exit(run_python, closes):
    outcome = run_python(
        SETUP
        + """
class Holder: pass
holder = Holder()
holder.self, holder.ws = holder, ws
sys.modules["held"] = holder
ws.OnMessage.Once(holder.__dict__.get).Disconnect()
""",
        closes.url,
        timeout=15,
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("", "", 0), outcome
    assert ended(closes) == [1001, 1001]


def in_use() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def settled(least: tuple[int, int]) -> tuple[int, int]:
    """Once what is ending has ended: not more than ``least``, or what there is after ten seconds."""
    for _ in range(1000):
        gc.collect()
        if all(now <= then for now, then in zip(in_use(), least, strict=True)):
            break
        threading.Event().wait(0.01)
    return in_use()


def end_cleanly(url):
    with WebSocket.connect(url) as ws:
        ws.OnMessage.Connect(lambda message, ws=ws: None)


def end_by_abort(url):
    ws = WebSocket.connect(url)
    ws.OnClose.Connect(lambda ws=ws: None)
    ws.abort()


def end_by_dropping(url):
    WebSocket.connect(url).Send("x")


def never_connect(url):
    with pytest.raises(ConnectError):
        WebSocket.connect("ws://127.0.0.1:1/")


@pytest.mark.parametrize("one", [end_cleanly, end_by_abort, end_by_dropping, never_connect])
def test_a_thousand_connections_leave_no_descriptor_and_no_thread(echo, one):
    one(echo.url)
    # The server is in this process: its descriptors go as well.
    before = in_use()
    for _ in range(1000):
        one(echo.url)
    after = settled(before)
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1]


def end_with_messages_left(url):
    """The server sends three and closes; nobody takes them, or not before the end was known."""
    ws = WebSocket.connect(url + "close")
    ws.OnClose.Wait(10)
    assert ws.recv() == "0"


def end_with_a_handler_gone(url):
    ws = WebSocket.connect(url + "close")
    connection = ws.OnMessage.Connect(lambda message, ws=ws: None)
    connection.Disconnect()
    ws.OnClose.Wait(10)


@pytest.mark.parametrize("one", [end_with_messages_left, end_with_a_handler_gone])
def test_messages_that_nobody_took_keep_nothing_of_a_closed_connection(echo, one):
    one(echo.url)
    before = in_use()
    for _ in range(100):
        one(echo.url)
    assert settled(before)[0] <= before[0] + 2


def test_an_open_connection_costs_one_descriptor(face, echo):
    def events():
        targets = []
        for descriptor in os.listdir("/proc/self/fd"):
            # One may be closed meanwhile.
            with contextlib.suppress(OSError):
                targets.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        return targets.count("anon_inode:[eventfd]")

    async def test():
        first = await face.connect(echo.url)
        before = events()
        sockets = [await face.connect(echo.url) for _ in range(5)]
        await face.until(lambda: events() <= before)
        for ws in [first, *sockets]:
            ws.Close()

    face.run(test)


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_connection_that_was_failed_behind_messages_nobody_took_is_let_go(raw_server):
    message = b"m" * (1 << 20)

    def script(peer):
        peer.accept()
        # A frame with reserved bits and a reserved opcode comes behind the message.
        peer.sock.sendall(frame(BINARY, message) + b"\xff\xff")
        peer.wait_for_end()

    server = raw_server(script)

    def fail(count):
        sockets = [WebSocket.connect(server.url, daemon=True, compression=None) for _ in range(count)]
        for ws in sockets:
            ws.OnClose.Wait(20)
            assert ws.close_code == 1002
        del ws
        sockets.clear()
        gc.collect()

    fail(20)
    before = resident()
    for _ in range(4):
        fail(20)
    # 80 messages of 1 MiB were held; what stays is noise of the allocator's.
    assert resident() - before < 30 << 20


def test_a_program_that_sockets_keep_alive_sleeps(run_python, echo):
    outcome = run_python(
        """
import sys, threading, time
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1])
ws.OnMessage.Connect(print)
main, ended = threading.main_thread(), threading.Event()
def count():
    with open(f"/proc/self/task/{main.native_id}/status") as status:
        return int(status.read().split("voluntary_ctxt_switches:")[1].split()[0])
def watch():
    ended.wait()
    time.sleep(0.3)
    before = count()
    time.sleep(1)
    print("wakes", count() - before <= 6)
    ws.Close()
threading.Thread(target=watch, daemon=True).start()
ended.set()
""",
        echo.url,
        timeout=15,
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("wakes True\n", "", 0), outcome


@pytest.mark.parametrize(
    "ends",
    [
        "connection.Disconnect()",
        "ws.abort()",
        "ws.OnMessage.Once(lambda message: connection.Disconnect()); ws.Send('x')",
    ],
)
def test_a_program_ends_when_no_handler_is_left_to_keep_it_alive(run_python, echo, ends):
    outcome = run_python(
        f"""
import sys, threading, time
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1])
connection = ws.OnClose.Connect(lambda: None)
ended = threading.Event()
def end():
    ended.wait()
    # The main thread waits by now, as far as that can be told; if it does not, nothing is tested.
    time.sleep(0.2)
    {ends}
    time.sleep(1000)
threading.Thread(target=end, daemon=True).start()
ended.set()
""",
        echo.url,
        timeout=15,
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("", "", 0), outcome
