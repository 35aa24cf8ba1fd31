"""``--fps``, and what a script that waits for frames costs."""

from __future__ import annotations

import select

import pytest

from tests.servers.raw import TEXT, frame


@pytest.mark.parametrize(("fps", "frames", "least", "most"), [(10, 5, 0.4, 60), (1000, 60, 0.059, 0.9)])
def test_a_second_has_so_many_frames(run_luau, fps, frames, least, most):
    # The first may begin at once. Sixty take a second without the flag.
    outcome = run_luau(
        f"""
local start = os.clock()
for _ = 1, {frames} do
    task.wait()
end
local took = os.clock() - start
print(took >= {least}, took < {most})
""",
        "--fps",
        str(fps),
    )
    assert outcome.stdout == "true true\n", outcome


@pytest.fixture
def flood(raw_server):
    """A server that sends messages until the client closes."""

    def serve(peer):
        peer.accept()
        many = frame(TEXT, b"x") * 10_000
        while not select.select([peer.sock], [], [], 0)[0]:
            peer.sock.sendall(many)
        peer.finish()

    return raw_server(serve).url


def test_frames_go_on_beside_a_flood_and_the_flood_beside_frames(run_luau, flood):
    outcome = run_luau(
        """
local ws = WebSocket.connect(...)
local heard, waited = 0, 0
ws.OnMessage:Connect(function()
    heard += 1
    -- Slower than the server: the hold is always full.
    local start = os.clock()
    repeat until os.clock() - start > 0.0001
    if heard % 100 == 0 then
        task.wait()
        waited += 1
    end
end)
local busy = 0
for _ = 1, 2000 do
    -- More to do in each frame than fits into one.
    task.spawn(function()
        while heard < 3000 do
            task.wait()
            local start = os.clock()
            repeat until os.clock() - start > 0.00002
        end
    end)
end
for _ = 1, 20 do
    task.wait()
end
print("frames")
repeat task.wait() until heard >= 3000 and waited >= 20
print("flood")
ws:Close()
""",
        args=(flood,),
    )
    assert outcome.stdout == "frames\nflood\n", outcome


def test_a_loop_of_wait_leaves_frames_and_other_sockets_their_turn(run_luau, flood, echo):
    # The loop is slower than the server, so that each Wait finds a message at once.
    outcome = run_luau(
        """
local url, echo = ...
local flooded, other = WebSocket.connect(url), WebSocket.connect(echo)
local frames, echoed = 0, 0
task.spawn(function()
    while frames < 20 do
        task.wait()
        frames += 1
    end
end)
other.OnMessage:Connect(function(message)
    echoed += 1
    other:Send(message)
end)
other:Send("x")
repeat
    flooded.OnMessage:Wait()
    local start = os.clock()
    repeat until os.clock() - start > 0.001
until frames >= 20 and echoed >= 20
print("both")
flooded:Close()
other:Close()
""",
        args=(flood, echo.url),
    )
    assert outcome.stdout == "both\n", outcome


def test_a_connect_that_was_closed_keeps_no_script_alive(run_luau, raw_server):
    # The server answers nothing: only a connect that was given up ends before open_timeout, which is ten seconds.
    server = raw_server(lambda peer: peer.wait_for_end())
    outcome = run_luau(
        """
local url = ...
local thread = task.spawn(function()
    WebSocket.connect(url)
    print("never")
end)
task.wait(0.05)
print(coroutine.close(thread))
""",
        args=(server.url,),
        timeout=8,
    )
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("true\n", "", 0), outcome
    server.join()
