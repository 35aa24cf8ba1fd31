"""Semantic 3 in a script: OnClose fires once, after the last message, however the connection ends."""

from __future__ import annotations

import pytest

from tests.semantics.luau.conftest import DROPPED
from tests.servers.raw import CLOSE, TEXT, close_payload, frame

SCRIPT = """
local ws = WebSocket.connect(...)
ws.OnMessage:Connect(function(message) print("message", message) end)
ws.OnClose:Connect(function(...) print("closed", select("#", ...)) end)
ws.OnClose:Once(function() print("once") end)
task.spawn(function()
    ws.OnClose:Wait()
    print("waited")
end)
"""


def by_close_frame(peer):
    peer.accept(send=frame(TEXT, b"last") + frame(CLOSE, close_payload(1000)))
    peer.recv_close()


def by_end_of_stream(peer):
    peer.accept(send=frame(TEXT, b"last"))


def by_violation(peer):
    # A reserved opcode.
    peer.accept(send=frame(TEXT, b"last") + frame(3))
    peer.recv_close()


FAILED = "{url} was failed with 1002: the server sent a frame with the reserved opcode 3 (RFC 6455 5.2)\n"


@pytest.mark.parametrize(
    ("serve", "stderr"), [(by_close_frame, ""), (by_end_of_stream, DROPPED), (by_violation, FAILED)]
)
def test_it_fires_once_after_the_last_message(script, raw_server, serve, stderr):
    printed = script(SCRIPT, raw_server(serve).url, stderr=stderr)
    assert printed == ["message last", "closed 0", "once", "waited"]


def test_it_fires_for_a_local_close(script, echo):
    printed = script(SCRIPT + "\nws:Close()\nprint('returned')", echo.url)
    assert printed == ["returned", "closed 0", "once", "waited"]


def test_a_late_listener_is_called_once_and_soon_and_wait_returns_at_once(script, raw_server):
    printed = script(
        """
local ws = WebSocket.connect(...)
ws.OnClose:Wait()
ws.OnClose:Wait()
ws.OnClose:Connect(function() print("late") end)
ws.OnClose:Once(function()
    print("once")
    ws.OnClose:Connect(function() print("from within") end)
end)
ws.OnClose:Connect(function() end):Disconnect()
print("not yet")
""",
        raw_server(by_end_of_stream).url,
        stderr=DROPPED,
    )
    assert printed == ["not yet", "late", "once", "from within"]


def test_a_thread_in_on_message_wait_is_told_of_the_close(script, raw_server):
    printed = script(
        """
local ws = WebSocket.connect(...)
print(ws.OnMessage:Wait())
for _ = 1, 2 do
    local ok, problem = pcall(function() return ws.OnMessage:Wait() end)
    print(ok, (string.gsub(problem, "^.*: the connection", "the connection"):gsub("wss?://%S+", "URL")))
end
""",
        raw_server(by_close_frame).url,
    )
    told = "false the connection to URL has closed with code 1000: no message will come"
    assert printed == ["last", told, told]
