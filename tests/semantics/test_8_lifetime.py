"""Semantic 8: what keeps a program alive, and how it ends: at exit, by Ctrl-C, after a fork."""

from __future__ import annotations

import signal

from tests.servers.raw import CLOSE, TEXT


def test_an_open_socket_with_a_listener_keeps_the_program_alive(run_python, echo):
    outcome = run_python(
        """
import sys
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1] + "close")
ws.OnMessage.Connect(lambda m: print(m))
ws.OnClose.Connect(lambda: print("Closed", ws.close_code))
""",
        echo.url,
    )
    assert outcome.stdout.split() == ["0", "1", "2", "Closed", "4000"], outcome
    assert outcome.status == 0, outcome
    assert outcome.stderr == "", outcome


def test_daemon_and_sockets_without_listener_do_not(run_python, raw_server):
    codes = []

    def script(peer):
        peer.accept()
        received = peer.recv_close()
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    server = raw_server(script)
    outcome = run_python(
        """
import sys
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1], daemon=True)
ws.OnMessage.Connect(print)
other = WebSocket.connect(sys.argv[1])
print("end")
""",
        server.url,
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("end\n", "", 0), outcome
    server.join()
    assert codes == [1001, 1001]


def test_ctrl_c_closes_what_keeps_the_program_alive(start_python, raw_server):
    codes = []

    def script(peer):
        peer.accept()
        peer.send(TEXT, b"ready")
        received = peer.recv_close()
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    server = raw_server(script)
    process = start_python(
        """
import sys
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1])
ws.OnMessage.Connect(lambda m: print(m, flush=True))
""",
        server.url,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    server.join()
    assert codes == [1001]
    assert stderr == ""


def test_ctrl_c_ends_every_wait(start_python, raw_server):
    def script(peer):
        peer.accept()
        peer.wait_for_end()

    for wait in ["ws.recv()", "ws.OnMessage.Wait()", "ws.OnClose.Wait()", "next(iter(ws))", "ws.recv(timeout=100)"]:
        server = raw_server(script)
        process = start_python(
            f"""
import sys
from sunsocket import WebSocket
ws = WebSocket.connect(sys.argv[1], close_timeout=0.2)
try:
    print("ready", flush=True)
    {wait}
except KeyboardInterrupt:
    print("interrupted", flush=True)
""",
            server.url,
        )
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
        assert (stdout, stderr, process.returncode) == ("interrupted\n", "", 0), wait


def test_ctrl_c_ends_connect(start_python, raw_server):
    accepted = []
    server = raw_server(lambda peer: (accepted.append(1), peer.wait_for_end()))
    process = start_python(
        """
import sys
from sunsocket import WebSocket
try:
    print("ready", flush=True)
    WebSocket.connect(sys.argv[1], open_timeout=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
""",
        server.url,
    )
    assert process.stdout.readline() == "ready\n"
    while not accepted:
        pass
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, stderr) == ("interrupted\n", "")


def test_the_end_of_the_interpreter_in_the_middle_of_traffic(run_python, echo):
    for _ in range(3):
        outcome = run_python(
            """
import sys, threading
from sunsocket import WebSocket
# Megabytes are under way: an answer to our Close would take the server seconds, and is not waited for.
sockets = [WebSocket.connect(sys.argv[1], daemon=True, close_timeout=0.5) for _ in range(5)]
def flood(ws):
    try:
        while True:
            ws.Send("x" * 100)
    except Exception:
        pass
for ws in sockets:
    ws.OnMessage.Connect(lambda m: None)
    threading.Thread(target=flood, args=(ws,), daemon=True).start()
for _ in range(10):
    sockets[0].OnMessage.Wait()
""",
            echo.url,
        )
        assert (outcome.stderr, outcome.status) == ("", 0), outcome


def test_a_child_of_a_fork_connects_anew(run_python, echo):
    outcome = run_python(
        """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from sunsocket import ConnectionClosed, WebSocket
ws = WebSocket.connect(sys.argv[1])
ws.Send("before"); print(ws.recv(5))
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    for call in (lambda: ws.Send("x"), lambda: ws.recv(1), lambda: ws.ping(timeout=1)):
        try:
            call()
        except ConnectionClosed as error:
            assert "fork" in str(error), error
        else:
            raise SystemExit("no error")
    print(ws.state)
    ws.Close()
    with WebSocket.connect(sys.argv[1]) as mine:
        mine.Send("child"); print(mine.recv(5))
    sys.exit(0)
_, status = os.waitpid(pid, 0)
print("status", status)
ws.Send("after"); print(ws.recv(5))
ws.Close()
""",
        echo.url,
    )
    assert outcome.stdout.split("\n")[:5] == ["before", "State.CLOSED", "child", "status 0", "after"], outcome
    assert outcome.status == 0, outcome


def test_a_socket_that_is_dropped_is_closed(raw_server):
    from sunsocket import WebSocket

    codes = []

    def script(peer):
        peer.accept()
        received = peer.recv_close()
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    server = raw_server(script)
    ws = WebSocket.connect(server.url)
    del ws
    server.join()
    assert codes == [1001]


def test_no_reference_survives_a_closed_socket(face, echo):
    import gc
    import weakref

    async def test():
        ws = await face.connect(echo.url)
        ws.OnMessage.Connect(lambda _, ws=ws: None)
        ws.OnClose.Connect(lambda ws=ws: None)
        ws.Send("x")
        watch = weakref.ref(ws)
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        del ws
        await face.until(lambda: gc.collect() >= 0 and watch() is None)

    face.run(test)


def test_closing_the_loop_with_sockets_open_is_quiet(run_python, echo):
    for loop in ["asyncio.new_event_loop", "__import__('uvloop').new_event_loop"]:
        outcome = run_python(
            f"""
import asyncio, sys
from sunsocket.aio import WebSocket
async def main():
    ws = await WebSocket.connect(sys.argv[1])
    ws.OnMessage.Connect(print)
    other = await WebSocket.connect(sys.argv[1])
    ws.Send("x")
with asyncio.Runner(loop_factory={loop}) as runner:
    runner.run(main())
print("end")
""",
            echo.url,
            flags=("-X", "dev", "-W", "error"),
        )
        assert outcome.stdout.split()[-1] == "end", outcome
        assert (outcome.stderr, outcome.status) == ("", 0), outcome
