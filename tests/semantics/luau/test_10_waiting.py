"""Semantic 10 in a script: several coroutines may wait at once, and one that is cancelled loses nothing."""

from __future__ import annotations


def test_every_wait_gets_the_same_message(script, echo):
    printed = script(
        """
local ws = WebSocket.connect(...)
for number = 1, 3 do
    task.spawn(function()
        print(number, ws.OnMessage:Wait())
        if number == 3 then
            -- The others wait again by now: what came before that would go to the first who asks.
            ws:Send("b")
        end
        print(number, ws.OnMessage:Wait())
        if number == 3 then
            ws:Close()
        end
    end)
end
ws:Send("a")
""",
        echo.url,
    )
    assert printed == ["1 a", "2 a", "3 a", "1 b", "2 b", "3 b"]


def test_a_cancelled_wait_loses_nothing(script, echo):
    printed = script(
        """
local ws = WebSocket.connect(... .. "count/3")
local function wait()
    print("never", ws.OnMessage:Wait())
end
print(ws.OnMessage:Wait(), ws.OnMessage:Wait(), ws.OnMessage:Wait())
local cancelled, closed = task.spawn(wait), task.spawn(wait)
task.cancel(cancelled)
coroutine.close(closed)
local other = WebSocket.connect(...)
other:Send("x")
print(other.OnMessage:Wait())
other:Close()
ws:Close()
""",
        echo.url,
    )
    assert printed == ["0 1 2", "x"]
