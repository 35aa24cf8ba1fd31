"""Standard output and error that are closed, full, or that nobody reads."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading

import pytest

from sunsocket.cli import _streams, main
from tests.conftest import SUNSOCKET, environment
from tests.servers.raw import CLOSE, TEXT


def shell(command, *args):
    """Runs a command line in which "$@" is the sunsocket to run; returns what it printed, and its status."""
    done = subprocess.run(
        ["bash", "-c", command, "bash", str(SUNSOCKET), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=20,
        env=environment(),
    )
    return done.stdout, done.stderr, done.returncode


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "script.luau"
        path.write_text(text)
        return path

    return write


LINES = {
    "at its end": "for i = 1, 10000 do print(i) end warn('done') while true do task.wait() print('more') end",
    "without a pause": "local i = 0 while true do i += 1 print(i) end",
}


@pytest.mark.parametrize("text", LINES.values(), ids=LINES.keys())
def test_a_script_that_nobody_reads_ends_by_sigpipe(script, text):
    # As `yes | head -1` does.
    stdout, stderr, _ = shell('"$@" | head -1; echo "${PIPESTATUS[0]}"', "run", script(text))
    assert stdout == "1\n141\n"
    assert stderr in ("", "done\n")


def test_it_is_a_signal_that_ends_it(start_luau):
    process = start_luau("print('first') while true do task.wait() print('more') end")
    assert process.stdout.readline() == "first\n"
    process.stdout.close()
    assert process.wait(20) == -signal.SIGPIPE
    assert process.stderr.read() == ""


def test_a_script_that_prints_in_a_handler_closes_its_socket_and_ends_by_sigpipe(start_luau, raw_server):
    codes, gone = [], threading.Event()

    def serve(peer):
        peer.accept()
        peer.send(TEXT, b"first")
        # It waits for its socket when its reader goes, and prints this to nobody.
        assert gone.wait(20)
        peer.send(TEXT, b"second")
        received = peer.recv_close()
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    server = raw_server(serve)
    process = start_luau("WebSocket.connect(...).OnMessage:Connect(print)", args=(server.url,))
    assert process.stdout.readline() == "first\n"
    process.stdout.close()
    gone.set()
    assert process.wait(20) == -signal.SIGPIPE
    assert process.stderr.read() == ""
    server.join()
    assert codes == [1001]


def test_standard_error_that_nobody_reads_ends_it_too(script):
    said = shell(
        '"$@" 2>&1 >/dev/null | head -1; echo "${PIPESTATUS[0]}"', "run", script("while true do warn('x') end")
    )
    assert said == ("x\n141\n", "", 0)


FULL = "sunsocket run: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    "text", ["print('one')", "print('one') task.wait(100)", "while true do print('one') end", "print('x') error('y')"]
)
def test_a_full_disk_is_an_error(script, text):
    stdout, stderr, status = shell('"$@" >/dev/full', "run", script(text))
    assert (stdout, status) == ("", 1)
    # The error of the script's main thread may come first or not at all; this is said once.
    assert stderr.startswith(FULL)
    assert stderr.count("No space left") == 1


def test_a_full_disk_closes_the_sockets(raw_server, script):
    codes = []

    def serve(peer):
        peer.accept()
        peer.send(TEXT, b"x")
        received = peer.recv_close()
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    server = raw_server(serve)
    path = script("WebSocket.connect(...).OnMessage:Connect(print)")
    assert shell('"$@" >/dev/full', "run", path, server.url) == ("", FULL, 1)
    server.join()
    assert codes == [1001]


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_a_full_disk_is_an_error_of_the_command_too(flag):
    said = "sunsocket: cannot write to standard output: No space left on device\n"
    assert shell('"$@" >/dev/full', flag) == ("", said, 1)


ALL = """
local ws = WebSocket.connect(...)
print("to standard output")
warn("to standard error")
ws:Send("through the socket")
local echoed = ws.OnMessage:Wait()
ws:Close()
assert(echoed == "through the socket")
"""


@pytest.mark.parametrize(
    ("closed", "stdout", "stderr"),
    [
        (">&-", "", "to standard error\n"),
        ("2>&-", "to standard output\n", ""),
        ("<&-", "to standard output\n", "to standard error\n"),
        ("<&- >&- 2>&-", "", ""),
    ],
)
def test_what_is_closed_is_not_missed(script, echo, closed, stdout, stderr):
    # Its descriptors would otherwise get those numbers, and what is printed would go to the server.
    assert shell(f'"$@" {closed}', "run", script(ALL), echo.url) == (stdout, stderr, 0)


def test_what_is_wrong_is_said_in_the_status_where_standard_error_is_closed(script):
    assert shell('"$@" 2>&-', "run", script("error('x')")) == ("", "", 1)
    assert shell('"$@" 2>&-', "run", "missing.luau") == ("", "", 2)
    assert shell('"$@" 2>&-', "run", "--unknown") == ("", "", 2)
    assert shell('"$@" 2>&-') == ("", "", 2)
    assert shell('"$@" 2>/dev/full', "run", "missing.luau") == ("", "", 2)
    assert shell('"$@" >&- 2>&-', "--version") == ("", "", 0)


def test_a_descriptor_that_does_not_wait_is_waited_for(script):
    # Who shares the pipe may have made it so; it is full long before all is printed.
    set_up = "import os, sys; os.set_blocking(1, False); os.execv(sys.argv[1], sys.argv[1:])"
    path = script("for i = 1, 100000 do print(i) end")
    command = [sys.executable, "-c", set_up, str(SUNSOCKET), "run", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        head = os.read(process.stdout.fileno(), 100)
        stdout, stderr = process.communicate(timeout=20)
    assert (head + stdout).split() == [b"%d" % i for i in range(1, 100001)]
    assert (stderr, process.returncode) == (b"", 0)


def test_where_no_signal_can_end_it_the_status_says_so(monkeypatch, tmp_path):
    # As in a container, whose first process SIGPIPE does not end.
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(signal, "signal", lambda number, action: sent.append((number, action)))
    monkeypatch.setattr("sunsocket._core.run_script", lambda *_, **__: _streams.BROKEN_PIPE)
    path = tmp_path / "script.luau"
    path.write_text("")
    assert main(["run", str(path)]) == 141
    assert sent == [(signal.SIGPIPE, signal.SIG_DFL), (os.getpid(), signal.SIGPIPE)]


def test_a_version_that_nobody_reads_has_that_status_too(monkeypatch):
    class Unread(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    given_up = []
    monkeypatch.setattr(_streams, "_give_up", given_up.append)
    monkeypatch.setattr(_streams, "end_by_broken_pipe", lambda: None)
    monkeypatch.setattr(sys, "stdout", Unread())
    assert main(["--version"]) == 141
    assert given_up == [1]


def test_help_that_nobody_reads_ends_by_sigpipe():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([str(SUNSOCKET), "--help"], stdout=writer, stderr=subprocess.PIPE, env=environment())
    os.close(writer)
    assert (done.stderr, done.returncode) == (b"", -signal.SIGPIPE)
