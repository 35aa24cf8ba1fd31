"""Semantic 8 in a script: what keeps it alive, and how it ends."""

from __future__ import annotations

import signal

import pytest

from tests.semantics.luau.conftest import DROPPED
from tests.servers.raw import CLOSE, TEXT


def closing(codes, *, send=b"ready"):
    def serve(peer):
        peer.accept()
        peer.send(TEXT, send)
        while (received := peer.recv()).opcode != CLOSE:
            peer.send(TEXT, received.payload)
        codes.append(received.code)
        peer.send(CLOSE, received.payload)

    return serve


def test_it_ends_when_nothing_is_left(run_luau):
    outcome = run_luau(
        """
coroutine.wrap(coroutine.yield)()
task.spawn(function()
    coroutine.yield()
    print("never")
end)
task.delay(0.05, function() print("last") end)
print("first")
"""
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("first\nlast\n", "", 0), outcome


def test_an_open_socket_keeps_it_alive_even_when_nothing_refers_to_it(script, raw_server):
    def serve(peer):
        peer.accept()
        for number in range(3):
            peer.send(TEXT, b"%d" % number)
        peer.send(CLOSE, b"\x03\xe8")
        peer.recv_close()

    printed = script(
        """
WebSocket.connect(...).OnMessage:Connect(print)
local garbage = {}
for number = 1, 200000 do
    garbage = { garbage, number } and { number }
end
""",
        raw_server(serve).url,
    )
    assert printed == ["0", "1", "2"]


WAITS = {
    "open socket": "",
    "busy loop": "while true do end",
    "busy loop in pcall": "while true do pcall(function() while true do end end) end",
    "busy handler": "ws:Send('x') ws.OnMessage:Connect(function() print('busy') while true do end end)",
    "sleep": "task.wait(1000)",
    "frames": "while task.wait() do end",
    "chain of defer": "local function chain() task.defer(chain) end chain()",
    "tree of defer": "local function tree() task.defer(tree) task.defer(tree) end tree()",
    "deferred and busy": "local function chain() task.defer(chain) while true do end end chain()",
    "Wait": "ws.OnMessage:Wait()",
}


def test_ctrl_c_ends_a_busy_script_without_sockets_with_130(start_luau):
    process = start_luau("print('ready') while true do end")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, process.returncode) == ("", 130)
    assert stderr.startswith("interrupted\n"), stderr


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_ctrl_c_closes_with_1001_and_exits_130(start_luau, raw_server, wait):
    codes = []
    server = raw_server(closing(codes))
    process = start_luau(f"local ws = WebSocket.connect(...) print(ws.OnMessage:Wait()) {wait}", args=(server.url,))
    assert process.stdout.readline() == "ready\n"
    if "busy" in wait:
        assert process.stdout.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, process.returncode) == ("", 130)
    # A script that waits for something is only ended, and one that was busy is told where.
    assert ("interrupted" in stderr) == ("while true" in wait), stderr
    server.join()
    assert codes == [1001]


def test_ctrl_c_ends_connect(start_luau, raw_server):
    server = raw_server(lambda peer: (peer.sock.recv(1), peer.wait_for_end()))
    process = start_luau("print('ready') WebSocket.connect(...)", args=(server.url,))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, stderr, process.returncode) == ("", "", 130)


def test_ctrl_c_does_not_wait_for_a_peer_that_never_answers(start_luau, raw_server):
    def serve(peer):
        peer.accept()
        peer.send(TEXT, b"ready")
        peer.wait_for_end()

    process = start_luau("WebSocket.connect(...).OnMessage:Connect(print)", args=(raw_server(serve).url,))
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=10)
    assert (stdout, stderr, process.returncode) == ("", "", 130)


def test_an_error_in_the_main_thread_exits_1_but_not_before_the_sockets_have_closed(run_luau, echo):
    outcome = run_luau(
        """
local ws = WebSocket.connect(... .. "close")
ws.OnMessage:Connect(print)
ws.OnClose:Connect(function() print("closed") end)
error("at the end of main")
""",
        args=(echo.url,),
    )
    assert outcome.stdout.split() == ["0", "1", "2", "closed"], outcome
    assert "at the end of main" in outcome.stderr, outcome
    assert outcome.status == 1, outcome


def test_an_error_after_main_has_yielded_is_mains_too(run_luau):
    outcome = run_luau("task.wait() error('later')")
    assert "script.luau:1: later" in outcome.stderr
    assert outcome.status == 1


def test_an_error_in_another_thread_does_not_change_the_status(run_luau):
    outcome = run_luau("task.spawn(error, 'one') task.defer(error, 'two') task.delay(0, error, 'three') print('end')")
    assert (outcome.stdout, outcome.stderr.splitlines(), outcome.status) == ("end\n", ["one", "two", "three"], 0)


def test_a_thread_that_nobody_will_resume_does_not_keep_it_alive(script, raw_server):
    printed = script(
        """
local ws = WebSocket.connect(...)
task.spawn(function()
    coroutine.yield()
    print("never")
end)
ws.OnClose:Connect(function() print("closed") end)
""",
        raw_server(lambda peer: peer.accept()).url,
        stderr=DROPPED,
    )
    assert printed == ["closed"]
