"""Semantic 7 in a script, whose threads are coroutines: many of them on many sockets, and a socket that they share."""

from __future__ import annotations


def test_coroutines_share_a_socket_and_each_keeps_its_order(script, echo):
    printed = script(
        """
local ws = WebSocket.connect(...)
local last, count = {}, 0
for name = 1, 8 do
    last[name] = 0
    task.spawn(function()
        for number = 1, 500 do
            ws:Send(`{name} {number} {string.rep("x", number * 7 % 1000)}`)
            if number % 50 == 0 then
                task.wait()
            end
        end
    end)
end
ws.OnMessage:Connect(function(message)
    local name, number = string.match(message, "^(%d+) (%d+) ")
    name, number = tonumber(name), tonumber(number)
    assert(last[name] == number - 1)
    last[name] = number
    count += 1
    if count == 4000 then
        print("all")
        ws:Close()
    end
end)
""",
        echo.url,
    )
    assert printed == ["all"]


def test_fifty_sockets_at_once(script, secure_echo, run_luau, certificates):
    outcome = run_luau(
        """
local url = ...
local open, done = 0, 0
for number = 1, 50 do
    task.spawn(function()
        local ws = WebSocket.connect(url)
        open += 1
        for round = 1, 10 do
            local text = `{number} {round}`
            ws:Send(text)
            assert(ws.OnMessage:Wait() == text)
        end
        ws:Close()
        ws.OnClose:Wait()
        done += 1
        if done == 50 then
            print("all", open)
        end
    end)
end
""",
        "--cacert",
        str(certificates.ca_file),
        args=(secure_echo.url,),
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("all 50\n", "", 0), outcome


def test_close_during_connect_and_from_two_coroutines(script, echo):
    printed = script(
        """
local ws = WebSocket.connect(...)
task.spawn(ws.Close, ws)
task.spawn(ws.Close, ws)
task.defer(ws.Close, ws)
ws.OnClose:Connect(function() print("closed") end)
""",
        echo.url,
    )
    assert printed == ["closed"]
