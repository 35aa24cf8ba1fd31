"""The two scripts of the class' documentation, byte for byte, through the command."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT

ON_MESSAGE = """\
local ws = WebSocket.connect("wss://echo.websocket.events")
ws.OnMessage:Connect(function(message)
    print(message)
end)
ws:Send("Hello") -- Output: Hello
"""

ON_CLOSE = """\
local ws = WebSocket.connect("wss://echo.websocket.events")
ws.OnClose:Connect(function()
    print("Closed")
end)
ws:Close() -- Output: Closed
"""

EXAMPLES = [("on_message.luau", ON_MESSAGE, "Hello\n"), ("on_close.luau", ON_CLOSE, "Closed\n")]
names = pytest.mark.parametrize(("name", "text", "output"), EXAMPLES, ids=["on_message", "on_close"])


@names
def test_the_examples_are_those_of_the_documentation(name, text, output):
    assert (ROOT / "examples" / name).read_bytes() == text.encode()


def test_on_close_over_verified_tls(run_luau, secure_echo, certificates):
    resolve = f"echo.websocket.events:443:127.0.0.1:{secure_echo.port}"
    outcome = run_luau(ROOT / "examples/on_close.luau", "--resolve", resolve, "--cacert", str(certificates.ca_file))
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("Closed\n", "", 0), outcome


def test_on_message_over_verified_tls(start_luau, secure_echo, certificates):
    resolve = f"echo.websocket.events:443:127.0.0.1:{secure_echo.port}"
    flags = ("--resolve", resolve, "--cacert", str(certificates.ca_file))
    process = start_luau(ROOT / "examples/on_message.luau", *flags)
    # It listens for as long as its socket is open, which the script never closes.
    assert process.stdout.readline() == "Hello\n"
    process.send_signal(2)
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, stderr, process.returncode) == ("", "", 130)


def test_on_close_with_local_echo(run_luau):
    outcome = run_luau(ROOT / "examples/on_close.luau", "--local-echo")
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("Closed\n", "", 0), outcome


def test_on_message_with_local_echo(start_luau):
    process = start_luau(ROOT / "examples/on_message.luau", "--local-echo")
    assert process.stdout.readline() == "Hello\n"
    process.send_signal(2)
    stdout, stderr = process.communicate(timeout=20)
    assert (stdout, stderr, process.returncode) == ("", "", 130)


def test_local_echo_serves_hosts_that_no_certificate_can_be_made_for(run_luau):
    script = """
for _, url in {"wss://a_b.example", "wss://a_b", "wss://127.0.0.1", "wss://x--y.example"} do
    local ws = WebSocket.connect(url)
    ws:Send(url)
    print(ws.OnMessage:Wait())
    ws:Close()
end
"""
    outcome = run_luau(script, "--local-echo")
    said = "wss://a_b.example\nwss://a_b\nwss://127.0.0.1\nwss://x--y.example\n"
    assert (outcome.stdout, outcome.stderr, outcome.status) == (said, "", 0), outcome


def test_local_echo_serves_ws_too(run_luau):
    script = """
local ws = WebSocket.connect("ws://anything.example:1234/path")
ws:Send("over ws")
print(ws.OnMessage:Wait())
ws:Close()
"""
    outcome = run_luau(script, "--local-echo")
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("over ws\n", "", 0), outcome
