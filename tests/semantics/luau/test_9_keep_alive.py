"""Semantic 9 in a script: a connection survives a script that does not yield."""

from __future__ import annotations

import re
import time

from tests.servers.raw import PING, PONG, TEXT

BUSY = """
local function busy(seconds)
    local start = os.clock()
    while os.clock() - start < seconds do end
end
local ws = WebSocket.connect(...)
"""


def pings(peer, count, between):
    """Pings; returns the longest that an answer took."""
    longest = 0.0
    for number in range(count):
        start = time.monotonic()
        peer.send(PING, b"%d" % number)
        peer.send(TEXT, b"during %d" % number)
        received = peer.recv()
        assert (received.opcode, received.payload) == (PONG, b"%d" % number)
        longest = max(longest, time.monotonic() - start)
        time.sleep(between)
    return longest


def test_pings_are_answered_while_a_handler_is_busy_and_messages_come_later(run_luau, raw_server):
    took = []

    def serve(peer):
        peer.accept()
        peer.send(TEXT, b"go")
        took.append(pings(peer, 10, 0.1))
        peer.send(TEXT, b"end")
        peer.finish()

    server = raw_server(serve)
    outcome = run_luau(
        BUSY
        + """
local got = {}
ws.OnMessage:Connect(function(message)
    table.insert(got, message)
    if message == "go" then
        busy(2)
    elseif message == "end" then
        print(table.concat(got, ", "))
        ws:Close()
    end
end)
""",
        args=(server.url,),
    )
    server.join()
    assert outcome.stdout == "go, " + "".join(f"during {number}, " for number in range(10)) + "end\n", outcome
    assert outcome.status == 0, outcome
    assert took[0] < 1.5
    # The handler by the line where it begins, and the seconds it took.
    said = re.fullmatch(r"the handler at \S*script\.luau:9 was busy for (\d\.\d) s; .*\n", outcome.stderr)
    assert said, outcome
    assert 1.8 <= float(said[1]) <= 4


def test_pings_are_answered_while_the_main_thread_is_busy(run_luau, raw_server):
    took = []

    def serve(peer):
        peer.accept()
        took.append(pings(peer, 5, 0.1))
        peer.finish()

    server = raw_server(serve)
    outcome = run_luau(
        BUSY
        + """
busy(2)
for number = 0, 4 do
    assert(ws.OnMessage:Wait() == "during " .. number)
end
print("all")
ws:Close()
""",
        args=(server.url,),
    )
    server.join()
    assert (outcome.stdout, outcome.status) == ("all\n", 0), outcome
    assert took[0] < 1.5
    assert re.fullmatch(r"the script was busy for \d\.\d s; .*\n", outcome.stderr), outcome


def test_what_was_sent_leaves_while_the_script_is_busy(run_luau, raw_server):
    arrived = []

    def serve(peer):
        peer.accept()
        start = time.monotonic()
        while peer.recv().payload != b"last":
            pass
        arrived.append(time.monotonic() - start)
        peer.finish()

    server = raw_server(serve)
    outcome = run_luau(
        BUSY + "for number = 1, 1000 do ws:Send('text') end ws:Send('last') busy(2) ws:Close()", args=(server.url,)
    )
    server.join()
    assert outcome.status == 0, outcome
    assert arrived[0] < 1.5
