"""Semantic 2 in a script: messages fire in wire order, one at a time; handlers may yield."""

from __future__ import annotations

from tests.servers.raw import TEXT, frame


def several(*messages):
    def serve(peer):
        peer.accept(send=b"".join(frame(TEXT, message) for message in messages))
        peer.finish()

    return serve


def test_every_handler_gets_each_message_before_the_next(script, raw_server):
    printed = script(
        """
local ws = WebSocket.connect(...)
ws.OnMessage:Connect(function(message) print("a", message) end)
ws.OnMessage:Connect(function(message)
    print("b", message)
    if message == "3" then
        ws:Close()
    end
end)
""",
        raw_server(several(b"1", b"2", b"3")).url,
    )
    assert printed == ["a 1", "b 1", "a 2", "b 2", "a 3", "b 3"]


def test_a_handler_connected_while_a_message_fires_gets_the_next_one(script, raw_server):
    printed = script(
        """
local ws = WebSocket.connect(...)
ws.OnMessage:Once(function(message)
    print("first", message)
    ws.OnMessage:Connect(function(other)
        print("second", other)
        ws:Close()
    end)
end)
""",
        raw_server(several(b"1", b"2")).url,
    )
    assert printed == ["first 1", "second 2"]


def test_a_handler_disconnected_while_a_message_fires_does_not_run(script, raw_server):
    printed = script(
        """
local ws = WebSocket.connect(...)
local second
ws.OnMessage:Connect(function(message)
    second:Disconnect()
    print("first", message, second.Connected)
    if message == "2" then
        ws:Close()
    end
end)
second = ws.OnMessage:Connect(function(message) print("second", message) end)
""",
        raw_server(several(b"1", b"2")).url,
    )
    assert printed == ["first 1 false", "first 2 false"]


def test_the_next_message_does_not_wait_for_a_handler_that_yields(script, raw_server):
    printed = script(
        """
local ws = WebSocket.connect(...)
local free
ws.OnMessage:Connect(function(message)
    print("begins", message)
    if message == "1" then
        free = coroutine.running()
        coroutine.yield()
    else
        task.defer(free)
        task.wait()
        ws:Close()
    end
    print("ends", message)
end)
""",
        raw_server(several(b"1", b"2")).url,
    )
    assert printed == ["begins 1", "begins 2", "ends 1", "ends 2"]


def test_a_flood_leaves_timers_their_turn(script, raw_server):
    def serve(peer):
        peer.accept()
        assert peer.recv().payload == b"go"
        peer.sock.sendall(b"".join(frame(TEXT, b"%d" % number) for number in range(20_000)))
        peer.finish()

    printed = script(
        """
local ws = WebSocket.connect(...)
local count, between = 0, nil
ws.OnMessage:Connect(function(message)
    assert(message == tostring(count))
    count += 1
    if count == 1 then
        task.defer(function() between = count end)
    end
    if count == 20000 then
        print(between ~= nil and between < 20000)
        ws:Close()
    end
end)
ws:Send("go")
""",
        raw_server(serve).url,
    )
    assert printed == ["true"]
