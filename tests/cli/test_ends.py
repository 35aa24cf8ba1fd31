"""What is said on standard error of connections that end badly, of a script that goes on, and ``--exit-on-error``."""

from __future__ import annotations

import pytest

from tests.servers.raw import CLOSE, TEXT, close_payload, frame

LISTENS = (
    "local ws = WebSocket.connect(...) ws.OnMessage:Connect(print) ws.OnClose:Connect(function() warn('OnClose') end)"
)


def by_close(payload):
    def serve(peer):
        peer.accept(send=frame(TEXT, b"last") + frame(CLOSE, payload))
        peer.recv_close()

    return serve


def by_silence(peer):
    peer.accept(send=frame(TEXT, b"last"))


def by_violation(peer):
    peer.accept(send=frame(TEXT, b"last") + frame(3))
    peer.recv_close()


CLOSED = "the connection to {url} was closed by the server with code "
FAILED = "{url} was failed with 1002: the server sent a frame with the reserved opcode 3 (RFC 6455 5.2)"


@pytest.mark.parametrize(
    ("serve", "line"),
    [
        (by_close(close_payload(4001, "enough of you")), CLOSED + "4001 (enough of you)"),
        (by_close(close_payload(1011)), CLOSED + "1011"),
        (by_close(b""), "the connection to {url} was closed by the server without a code (1005)"),
        (by_silence, "{url} dropped TCP without a closing handshake (code 1006)"),
        (by_violation, FAILED),
    ],
    ids=["4001", "1011", "1005", "1006", "1002"],
)
@pytest.mark.parametrize(
    "script", [LISTENS, "WebSocket.connect(...).OnMessage:Connect(print)"], ids=["OnClose", "none"]
)
def test_a_connection_that_ends_badly_leaves_a_line(run_luau, raw_server, serve, line, script):
    server = raw_server(serve)
    outcome = run_luau(script, args=(server.url,))
    # Before what the script itself says of it.
    own = "OnClose\n" if "OnClose" in script else ""
    assert outcome.stderr == line.replace("{url}", server.url) + "\n" + own, outcome
    assert (outcome.stdout, outcome.status) == ("last\n", 0), outcome


@pytest.mark.parametrize("code", [1000, 1001])
def test_one_that_ends_well_leaves_none(run_luau, raw_server, code):
    outcome = run_luau(LISTENS, args=(raw_server(by_close(close_payload(code, "bye"))).url,))
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("last\n", "OnClose\n", 0), outcome


@pytest.mark.parametrize("close", ["ws:Close()", "ws:Close(4000, 'mine')"])
@pytest.mark.parametrize("answer", [None, close_payload(4005, "the server's")], ids=["same", "another"])
def test_one_that_the_script_closes_leaves_none(run_luau, raw_server, close, answer):
    def serve(peer):
        peer.accept()
        received = peer.recv_close()
        peer.send(CLOSE, received.payload if answer is None else answer)

    outcome = run_luau(f"local ws = WebSocket.connect(...) {close}", args=(raw_server(serve).url,))
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("", "", 0), outcome


def test_one_whose_close_is_not_answered_leaves_one(run_luau, raw_server):
    server = raw_server(lambda peer: (peer.accept(), peer.recv_close()))
    outcome = run_luau("WebSocket.connect(...):Close()", args=(server.url,))
    said = f"{server.url} dropped TCP without answering our Close (code 1006)\n"
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("", said, 0), outcome


def test_it_is_said_once_whoever_comes_later(run_luau, raw_server):
    script = """
local ws = WebSocket.connect(...)
ws.OnClose:Wait()
ws.OnClose:Connect(function() print("late") end)
task.wait(0.01)
ws.OnClose:Connect(function() print("later") end)
print(ws.OnMessage:Wait())
"""
    server = raw_server(by_silence)
    outcome = run_luau(script, args=(server.url,))
    assert sorted(outcome.stdout.split()) == ["last", "late", "later"], outcome
    assert outcome.stderr == f"{server.url} dropped TCP without a closing handshake (code 1006)\n", outcome


def test_a_reason_cannot_control_the_terminal(run_luau, raw_server):
    server = raw_server(by_close(close_payload(4001, "\x1b[2J\r\nrm -rf \u202eünï\x07\x9b")))
    outcome = run_luau("WebSocket.connect(...).OnMessage:Connect(print)", args=(server.url,))
    shown = "4001 (\\u{1b}[2J\\r\\nrm -rf \\u{202e}ünï\\u{7}\\u{9b})\n"
    assert outcome.stderr == CLOSED.replace("{url}", server.url) + shown, outcome


def fails(peer):
    peer.accept()
    peer.send(TEXT, b"one")
    peer.send(TEXT, b"two")
    codes = peer.recv_close()
    peer.send(CLOSE, codes.payload)


def test_a_main_thread_that_failed_with_open_sockets_says_that_the_script_goes_on(run_luau, raw_server, tmp_path):
    script = """\
local first, second = ...
local a, b = WebSocket.connect(first), WebSocket.connect(second)
a.OnMessage:Connect(function() a:Close() end)
{close}
error("main")
"""
    path = f"{tmp_path}/script.luau"
    report = f"{path}:5: main\nstack traceback:\n  {path}:5\n"
    for close, goes_on in [
        ("b.OnMessage:Connect(function() b:Close() end)", "the script goes on: 2 sockets are open\n"),
        ("b:Close()", "the script goes on: 1 socket is open\n"),
        ("b:Close() a:Close()", ""),
    ]:
        urls = raw_server(fails).url, raw_server(fails).url
        outcome = run_luau(script.replace("{close}", close), args=urls)
        assert (outcome.stdout, outcome.stderr, outcome.status) == ("", report + goes_on, 1), outcome


def test_other_threads_and_scripts_without_sockets_say_nothing_of_it(run_luau, echo):
    script = (
        "local ws = WebSocket.connect(...) task.spawn(error, 'one', 0) ws:Close() ws.OnClose:Wait() error('two', 0)"
    )
    outcome = run_luau(script, args=(echo.url,))
    assert (outcome.stderr.split("\n")[:2], outcome.status) == (["one", "two"], 1), outcome
    assert "goes on" not in outcome.stderr


ERRORS = {
    "main": "error('bad', 0)",
    "thread": "task.spawn(function() error('bad', 0) end) while true do end",
    "thread in pcall": "pcall(task.spawn, function() error('bad', 0) end) while true do pcall(task.wait) end",
    "later": "task.delay(0.01, function() error('bad', 0) end)",
    "handler": "ws.OnMessage:Connect(function() error('bad', 0) end)",
    "handler that yielded": "ws.OnMessage:Connect(function() task.wait() error('bad', 0) end)",
    "waiter": "task.spawn(function() ws.OnMessage:Wait() error('bad', 0) end)",
}


@pytest.mark.parametrize("text", ERRORS.values(), ids=ERRORS.keys())
def test_exit_on_error_ends_at_the_first_error_wherever_it_is(run_luau, raw_server, text):
    codes = []

    def serve(peer):
        peer.accept()
        assert peer.recv().payload == b"ready"
        peer.send(TEXT, b"one")
        peer.send(TEXT, b"two")
        received = peer.recv_close()
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    server = raw_server(serve)
    script = f"local ws = WebSocket.connect(...) ws:Send('ready') {text}"
    outcome = run_luau(script, "--exit-on-error", args=(server.url,))
    first, *frames = outcome.stderr.splitlines()
    assert first == "bad", outcome
    assert frames[0] == "stack traceback:", outcome
    assert outcome.stderr.count("bad") == 1, outcome
    assert "goes on" not in outcome.stderr, outcome
    assert (outcome.stdout, outcome.status) == ("", 1), outcome
    server.join()
    assert codes == [1001]


def test_exit_on_error_lets_nothing_run_after_it(run_luau):
    script = """
task.defer(print, "never")
task.spawn(function() error("bad", 0) end)
print("never")
"""
    outcome = run_luau(script, "--exit-on-error")
    assert (outcome.stdout, outcome.status) == ("", 1), outcome
    assert outcome.stderr.startswith("bad\n"), outcome


def test_errors_that_are_caught_do_not_end_it(run_luau, echo):
    script = """
local ws = WebSocket.connect(...)
print(pcall(error, "caught", 0))
print(coroutine.resume(coroutine.create(error), "caught too"))
ws:Close()
"""
    outcome = run_luau(script, "--exit-on-error", args=(echo.url,))
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("false caught\nfalse caught too\n", "", 0), outcome
