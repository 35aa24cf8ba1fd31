"""Semantic 6 in a script: Send waits outside a handler when the peer does not read, and never inside one."""

from __future__ import annotations

import threading

from tests.semantics.luau.conftest import DROPPED
from tests.servers.raw import TEXT


def test_send_waits_while_the_peer_does_not_read_and_other_threads_run(script, raw_server):
    may_read = threading.Event()
    received = []

    def serve(peer):
        peer.accept()
        assert may_read.wait(20)
        while len(received) < 200:
            received.append(peer.recv().payload[:3])
        peer.finish()

    def timer(peer):
        peer.accept()
        assert peer.recv().payload == b"read"
        may_read.set()
        peer.finish()

    server, other = raw_server(serve), raw_server(timer)
    printed = script(
        """
local first, second = string.match(..., "(%S+) (%S+)")
local ws, other = WebSocket.connect(first), WebSocket.connect(second)
local sent = 0
task.delay(0.2, function()
    print(sent < 200)
    other:Send("read")
    other:Close()
end)
for number = 1, 200 do
    ws:Send(string.format("%03d", number) .. string.rep("x", 100000))
    sent = number
end
print("sent")
ws:Close()
""",
        f"{server.url} {other.url}",
    )
    server.join()
    assert printed == ["true", "sent"]
    assert received == [b"%03d" % number for number in range(1, 201)]


def test_send_in_a_handler_never_waits(script, raw_server):
    received = []

    def serve(peer):
        peer.accept()
        peer.send(TEXT, b"go")
        while len(received) < 100:
            received.append(peer.recv().payload)
        peer.finish()

    server = raw_server(serve)
    printed = script(
        """
local ws = WebSocket.connect(...)
ws.OnMessage:Connect(function()
    local before = coroutine.running()
    for number = 1, 100 do
        ws:Send(string.rep("x", 100000))
    end
    print("sent all")
    task.wait()
    ws:Close()
end)
ws.OnMessage:Connect(function() print("the next handler") end)
""",
        server.url,
    )
    server.join()
    assert printed == ["sent all", "the next handler"]
    assert len(received) == 100


def test_a_sender_that_waits_for_room_can_be_cancelled_and_the_end_of_the_connection_ends_its_wait(script, raw_server):
    def serve(peer):
        peer.accept()
        assert peer.recv().payload == b"first"
        # It reads no more, and goes when the script has filled the pipe.
        assert full.wait(20)

    full = threading.Event()

    def tell(peer):
        peer.accept()
        peer.recv()
        full.set()
        peer.finish()

    server, other = raw_server(serve), raw_server(tell)
    printed = script(
        """
local first, second = string.match(..., "(%S+) (%S+)")
local ws, other = WebSocket.connect(first), WebSocket.connect(second)
ws:Send("first")
local function flood()
    while true do
        ws:Send(string.rep("x", 1000000))
    end
end
local cancelled = task.spawn(flood)
task.cancel(cancelled)
task.spawn(function()
    local _, problem = pcall(flood)
    print("ended", (string.find(problem, "cannot send", 1, true)) ~= nil)
end)
other:Send("full")
other:Close()
ws.OnClose:Wait()
print("closed")
""",
        f"{server.url} {other.url}",
        stderr=DROPPED.replace("{url}", server.url),
    )
    assert sorted(printed) == ["closed", "ended true"]
