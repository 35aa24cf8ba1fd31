"""Semantic 4 in a script: Close starts the closing handshake and returns; after it no message fires."""

from __future__ import annotations

from tests.semantics.luau.conftest import DROPPED
from tests.servers.raw import CLOSE, TEXT, frame


def test_the_code_and_the_reason_arrive_once(script, raw_server):
    closes = []

    def serve(peer):
        peer.accept()
        received = peer.recv_close()
        closes.append((received.code, received.payload[2:]))
        peer.send(CLOSE, received.payload)
        peer.wait_for_end()

    for call in ["ws:Close()", "ws:Close(4000, 'enough')", "ws:Close(1000, '')"]:
        server = raw_server(serve)
        script(f"local ws = WebSocket.connect(...) {call} ws:Close(3000, 'again')", server.url)
        server.join()
    assert closes == [(1000, b""), (4000, b"enough"), (1000, b"")]


def test_codes_and_reasons_that_may_not_be_sent_are_refused(script, echo):
    printed = script(
        """
local ws = WebSocket.connect(...)
for _, code in { 0, 999, 1005, 1006, 1015, 5000, 70000, -1, 1000.5 } do
    print(code, pcall(ws.Close, ws, code) == false)
end
print(pcall(ws.Close, ws, 1000, string.rep("x", 124)) == false)
ws:Send("still open")
print(ws.OnMessage:Wait())
ws:Close(1000, string.rep("x", 123))
""",
        echo.url,
    )
    codes = ["0", "999", "1005", "1006", "1015", "5000", "70000", "-1", "1000.5"]
    assert printed == [*(f"{code} true" for code in codes), "true", "still open"]


def test_no_message_fires_after_it(script, raw_server):
    def serve(peer):
        peer.accept(send=b"".join(frame(TEXT, b"%d" % number) for number in range(10)))
        received = peer.recv_close()
        peer.send(TEXT, b"too late")
        peer.send(CLOSE, received.payload)
        peer.wait_for_end()

    printed = script(
        """
local ws = WebSocket.connect(...)
ws.OnMessage:Connect(function(message)
    print(message)
    if message == "2" then
        ws:Close()
    end
end)
ws.OnClose:Connect(function() print("closed") end)
""",
        raw_server(serve).url,
    )
    assert printed == ["0", "1", "2", "closed"]


def test_close_in_a_handler_of_on_close_does_nothing(script, raw_server):
    printed = script(
        """
local ws = WebSocket.connect(...)
ws.OnClose:Connect(function()
    ws:Close()
    print(pcall(ws.Send, ws, "x") == false)
end)
""",
        raw_server(lambda peer: peer.accept()).url,
        stderr=DROPPED,
    )
    assert printed == ["true"]
