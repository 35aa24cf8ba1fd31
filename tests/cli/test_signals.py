"""Signals that end a script: SIGINT as by Ctrl-C, SIGTERM as by ``docker stop``, SIGHUP when the terminal is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

import pytest

from sunsocket.cli import main
from tests.conftest import SUNSOCKET, environment
from tests.servers.raw import CLOSE, TEXT, frame

STATUS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}
each = pytest.mark.parametrize("number", STATUS, ids=[number.name for number in STATUS])


def ends(process, number, *, at_most=20):
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=at_most)
    return stdout, stderr, process.returncode


def closing(codes):
    """Sends a message, and remembers the code of the client's Close."""

    def serve(peer):
        peer.accept()
        peer.send(TEXT, b"ready")
        received = peer.recv_close()
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    return serve


@each
def test_open_sockets_are_closed_with_1001(start_luau, raw_server, number):
    codes = []
    server = raw_server(closing(codes))
    process = start_luau("WebSocket.connect(...).OnMessage:Connect(print)", args=(server.url,))
    assert process.stdout.readline() == "ready\n"
    assert ends(process, number) == ("", "", STATUS[number])
    server.join()
    assert codes == [1001]


def test_it_needs_no_terminal(raw_server, tmp_path):
    codes = []
    server = raw_server(closing(codes))
    path = tmp_path / "script.luau"
    path.write_text("WebSocket.connect(...).OnMessage:Connect(print)")
    # As a service manager starts it: a session of its own, and nothing to read from.
    with subprocess.Popen(
        [str(SUNSOCKET), "run", str(path), server.url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        assert ends(process, signal.SIGTERM) == ("", "", 143)
    server.join()
    assert codes == [1001]


@each
def test_a_script_that_never_pauses_is_told_where_it_was(start_luau, tmp_path, number):
    script = """\
local function spin()
    while true do
        pcall(function()
            while true do end
        end)
    end
end
print("ready")
spin()
"""
    process = start_luau(script)
    assert process.stdout.readline() == "ready\n"
    path = f"{tmp_path}/script.luau"
    where = f"interrupted\nstack traceback:\n  {path}:4\n  {path}:3 in function spin\n  {path}:9\n"
    assert ends(process, number) == ("", where, STATUS[number])


def test_a_handler_that_never_pauses_is_told_where_it_was(start_luau, raw_server, tmp_path):
    codes = []
    server = raw_server(closing(codes))
    script = """\
WebSocket.connect(...).OnMessage:Connect(function(message)
    print(message)
    while true do end
end)
"""
    process = start_luau(script, args=(server.url,))
    assert process.stdout.readline() == "ready\n"
    where = f"interrupted\nstack traceback:\n  {tmp_path}/script.luau:3\n"
    assert ends(process, signal.SIGINT) == ("", where, 130)
    server.join()
    assert codes == [1001]


@each
def test_connecting_is_given_up(start_luau, raw_server, number):
    asked = threading.Event()

    def serve(peer):
        peer.sock.recv(1)
        asked.set()
        peer.wait_for_end()

    process = start_luau("WebSocket.connect(...)", args=(raw_server(serve).url,))
    assert asked.wait(20)
    assert ends(process, number) == ("", "", STATUS[number])


@each
def test_it_ends_in_a_flood(start_luau, raw_server, number):
    def serve(peer):
        peer.accept()
        while True:
            peer.sock.sendall(frame(TEXT, b"x" * 100) * 1000)

    script = (
        "local n = 0 WebSocket.connect(...).OnMessage:Connect(function() n += 1 if n == 9999 then print(n) end end)"
    )
    process = start_luau(script, args=(raw_server(serve).url,))
    assert process.stdout.readline() == "9999\n"
    stdout, _, status = ends(process, number)
    assert (stdout, status) == ("", STATUS[number])


@each
def test_it_ends_in_the_closing_handshake(start_luau, raw_server, number):
    closes = threading.Event()

    def serve(peer):
        peer.accept()
        peer.recv_close()
        closes.set()
        peer.wait_for_end()

    process = start_luau("WebSocket.connect(...):Close()", args=(raw_server(serve).url,))
    assert closes.wait(20)
    # The server never answers: after two seconds of closing it ends all the same.
    assert ends(process, number, at_most=8) == ("", "", STATUS[number])


@pytest.mark.parametrize("second", STATUS, ids=[number.name for number in STATUS])
def test_a_second_signal_ends_at_once(start_luau, raw_server, second):
    closes, end = threading.Event(), threading.Event()

    def serve(peer):
        peer.accept()
        peer.send(TEXT, b"ready")
        assert peer.recv_close().code == 1001
        closes.set()
        # It goes on sending, which keeps a closing handshake alive.
        while not end.wait(0.01):
            peer.send(TEXT, b"more")

    server = raw_server(serve)
    process = start_luau("WebSocket.connect(...).OnMessage:Connect(print)", args=(server.url,))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert closes.wait(20)
    # Not after the two seconds that closing may take: the first signal's status would be another one.
    _, stderr, status = ends(process, second)
    end.set()
    assert (stderr, status) == ("", STATUS[second])


def test_a_second_signal_ends_a_long_call_of_a_library(start_luau):
    # Minutes of work inside of one function, where the VM asks nobody.
    script = "local a = string.rep('a', 2 ^ 21) warn('ready') string.find(a .. a, a .. 'b', 1, true)"
    process = start_luau(script)
    assert process.stderr.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    assert ends(process, signal.SIGTERM, at_most=5) == ("", "", 143)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT], ids=["nohup", "background"])
def test_a_signal_that_was_switched_off_stays_so(start_program, raw_server, tmp_path, number):
    codes = []
    server = raw_server(closing(codes))
    path = tmp_path / "script.luau"
    path.write_text("WebSocket.connect(...).OnMessage:Connect(print)")
    ignoring = (
        "import os, signal, sys; signal.signal(int(sys.argv[1]), signal.SIG_IGN); os.execv(sys.argv[2], sys.argv[2:])"
    )
    process = start_program("python3", "-c", ignoring, str(int(number)), str(SUNSOCKET), "run", str(path), server.url)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert ends(process, signal.SIGTERM) == ("", "", 143)
    server.join()
    assert codes == [1001]


def test_the_programs_own_handlers_are_back_afterwards(tmp_path):
    path = tmp_path / "script.luau"
    path.write_text("local x = 1")
    before = [signal.getsignal(number) for number in STATUS]
    assert main(["run", str(path)]) == 0
    assert [signal.getsignal(number) for number in STATUS] == before
    seen = []
    old = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        assert main(["run", str(path)]) == 0
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, old)
    assert seen == [signal.SIGTERM]


def test_ctrl_c_before_the_script_or_after_it_is_no_traceback(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sunsocket._core.run_script", interrupted)
    path = tmp_path / "script.luau"
    path.write_text("")
    assert main(["run", str(path)]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_script_that_writes_to_a_full_pipe_can_be_ended(start_luau):
    # Nobody reads standard output from here on, and it does not go away either.
    process = start_luau("warn('ready') local line = string.rep('x', 1000) while true do print(line) end")
    assert process.stderr.readline() == "ready\n"
    # As many bytes as a pipe holds: it waits for room then.
    while len(os.read(process.stdout.fileno(), 1)) != 1:
        pass
    assert ends(process, signal.SIGTERM)[2] == 143
