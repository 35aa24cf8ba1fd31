"""Semantic 5 in a script: Send on a closed socket raises a string; a handler that fails disturbs nothing else."""

from __future__ import annotations

from tests.servers.raw import TEXT, frame


def test_send_after_close_raises_a_string_with_the_scripts_line(script, echo):
    printed = script(
        """\
local ws = WebSocket.connect(...)
ws:Close()
local ok, problem = pcall(function()
    ws:Send("late")
end)
print(ok, type(problem), string.match(problem, "script%.luau:(%d+): cannot send to"))
ws.OnClose:Wait()
print(pcall(ws.Send, ws, "later") == false)
""",
        echo.url,
    )
    assert printed == ["false string 4", "true"]


def test_a_handler_that_fails_is_reported_and_disturbs_nothing_else(run_luau, raw_server, tmp_path):
    def serve(peer):
        peer.accept(send=b"".join(frame(TEXT, b"%d" % number) for number in range(1, 3)))
        peer.finish()

    outcome = run_luau(
        """\
local ws = WebSocket.connect(...)
local function fail(message)
    error("bad " .. message)
end
ws.OnMessage:Connect(function(message)
    print("first", message)
    fail(message)
end)
ws.OnMessage:Connect(function(message)
    print("second", message)
    if message == "2" then
        ws:Close()
    end
end)
ws.OnClose:Connect(function() error({ code = 1 }) end)
ws.OnClose:Connect(function() print("closed") end)
""",
        args=(raw_server(serve).url,),
    )
    path = f"{tmp_path}/script.luau"
    frames = f"stack traceback:\n  {path}:3 in function fail\n  {path}:7\n"
    assert outcome.stdout.splitlines() == ["first 1", "second 1", "first 2", "second 2", "closed"], outcome
    assert outcome.stderr == (
        f"{path}:3: bad 1\n{frames}{path}:3: bad 2\n{frames}"
        f'an error object: {{"code":1}}\nstack traceback:\n  {path}:15\n'
    ), outcome
    assert outcome.status == 0, outcome


def test_a_string_goes_as_text_if_it_may_and_a_buffer_as_binary(script, raw_server):
    opcodes = []

    def serve(peer):
        peer.accept()
        for _ in range(4):
            received = peer.recv()
            opcodes.append((received.opcode, received.payload))
        peer.finish()

    server = raw_server(serve)
    script(
        """
local ws = WebSocket.connect(...)
ws:Send("ü")
ws:Send("\\252")
ws:Send(buffer.fromstring("ü"))
ws:Send("")
ws:Close()
""",
        server.url,
    )
    server.join()
    assert opcodes == [(1, "ü".encode()), (2, b"\xfc"), (2, "ü".encode()), (1, b"")]
