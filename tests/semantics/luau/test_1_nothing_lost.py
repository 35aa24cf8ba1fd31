"""Semantic 1 in a script: what nobody takes is held, in order and within a bound."""

from __future__ import annotations

from tests.servers.raw import PING, TEXT, frame


def test_messages_are_held_for_the_first_listener(script, raw_server):
    def serve(peer):
        # They come with the 101, before connect has returned.
        peer.accept(send=b"".join(frame(TEXT, b"%d" % number) for number in range(5)))
        peer.finish()

    printed = script(
        """
local ws = WebSocket.connect(...)
task.wait(0.01)
local got = {}
ws.OnMessage:Connect(function(message)
    table.insert(got, message)
    if #got == 5 then
        print(table.concat(got, " "))
        ws:Close()
    end
end)
""",
        raw_server(serve).url,
    )
    assert printed == ["0 1 2 3 4"]


def test_held_messages_go_to_wait_in_order(script, echo):
    printed = script(
        """
local ws = WebSocket.connect(... .. "count/4")
for _ = 1, 4 do
    print(ws.OnMessage:Wait())
end
ws:Close()
""",
        echo.url,
    )
    assert printed == ["0", "1", "2", "3"]


def test_a_handler_that_goes_leaves_the_rest_for_the_next(script, echo):
    printed = script(
        """
local ws = WebSocket.connect(... .. "count/6")
local count = 0
local connection
connection = ws.OnMessage:Connect(function(message)
    count += 1
    print("first", message)
    if count == 2 then
        connection:Disconnect()
    end
end)
while connection.Connected do
    task.wait()
end
ws.OnMessage:Once(function(message) print("once", message) end)
task.wait(0.01)
for _ = 3, 5 do
    print("wait", ws.OnMessage:Wait())
end
ws:Close()
""",
        echo.url,
    )
    assert printed == ["first 0", "first 1", "once 2", "wait 3", "wait 4", "wait 5"]


def test_a_loop_of_wait_misses_nothing_beside_a_handler(script, raw_server):
    def serve(peer):
        peer.accept(send=b"".join(frame(TEXT, b"%d" % number) for number in range(100)))
        peer.finish()

    printed = script(
        """
local ws = WebSocket.connect(...)
local handled = 0
ws.OnMessage:Connect(function() handled += 1 end)
for number = 0, 99 do
    assert(ws.OnMessage:Wait() == tostring(number))
end
print(handled)
ws:Close()
""",
        raw_server(serve).url,
    )
    assert printed == ["100"]


def test_messages_from_before_the_servers_close_can_be_read_after_it(script, echo):
    printed = script(
        """
local ws = WebSocket.connect(... .. "close")
ws.OnClose:Wait()
print(ws.OnMessage:Wait())
ws.OnMessage:Once(function(message) print("once", message) end)
task.wait()
ws.OnMessage:Connect(function(message) print("handler", message) end)
""",
        echo.url,
        stderr="the connection to {url}close was closed by the server with code 4000 (enough)\n",
    )
    assert printed == ["0", "once 1", "handler 2"]


def test_a_full_hold_drops_the_oldest_when_nobody_has_come_for_ten_seconds(run_luau, raw_server):
    def serve(peer):
        peer.accept()
        for number in range(1100):
            peer.send(TEXT, b"%d" % number)
        peer.send(PING, b"are you there")
        assert peer.recv().payload == b"are you there"
        peer.send(TEXT, b"last")
        peer.finish()

    outcome = run_luau(
        """
local ws = WebSocket.connect(...)
task.wait(12)
local first, count = ws.OnMessage:Wait(), 1
while ws.OnMessage:Wait() ~= "last" do
    count += 1
end
print(tonumber(first) > 0, count <= 1024)
ws:Close()
""",
        args=(raw_server(serve).url,),
    )
    assert outcome.stdout == "true true\n", outcome
    assert outcome.stderr.count("are being dropped") == 1, outcome
