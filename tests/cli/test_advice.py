"""What errors advise in a script: flags of ``sunsocket run``, not the options that Python has."""

from __future__ import annotations

import pytest

from sunsocket import _options
from tests.servers.echo import Echo
from tests.servers.raw import TEXT, close_payload, frame


def problem_of(run_luau, url, *flags):
    outcome = run_luau("print(select(2, pcall(WebSocket.connect, ...)))", *flags, args=(url,))
    assert (outcome.stderr, outcome.status) == ("", 0), outcome
    for option in (*_options.DEFAULTS, "ca_file", "ca_data", "server_hostname", "cert_file", "verify"):
        if "_" in option:
            assert option not in outcome.stdout
    return outcome.stdout


def answering(raw_server, head):
    def serve(peer):
        peer.accept_nothing(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n".encode())
        peer.wait_for_end()

    return raw_server(serve).url


@pytest.mark.parametrize("most", [0, 1])
def test_redirects(run_luau, raw_server, most):
    last = answering(raw_server, "302 Found\r\nLocation: /elsewhere")
    url = last if most == 0 else answering(raw_server, f"302 Found\r\nLocation: {last}")
    assert "(--max-redirects)" in problem_of(run_luau, url, "--max-redirects", str(most))


def test_a_header_that_was_not_sent_on(run_luau, raw_server):
    url = answering(raw_server, f"302 Found\r\nLocation: {answering(raw_server, '403 Forbidden')}")
    said = problem_of(run_luau, url, "--header", "X-Key: secret")
    assert "or name headers in --redirect-header" in said
    assert "secret" not in said


def test_credentials(run_luau, raw_server):
    wanted = answering(raw_server, "401 Unauthorized\r\nWWW-Authenticate: Basic realm=x")
    assert "give a user name and a password in the URL (ws://user:password@host/)" in problem_of(run_luau, wanted)
    other = answering(raw_server, "401 Unauthorized\r\nWWW-Authenticate: Bearer")
    assert "send its Authorization with --header" in problem_of(run_luau, other)


def test_certificates(run_luau, certificates):
    trusted = ("--cacert", str(certificates.ca_file))
    with Echo(certificates.stranger) as server:
        said = problem_of(run_luau, server.url, *trusted)
        assert "give its CA's certificate as --cacert" in said or "give this very certificate as --cacert" in said
    with Echo(certificates.wrong_name) as server:
        said = problem_of(run_luau, server.url, *trusted)
        assert "connect by a name that it has, and lead that to this address with --resolve" in said


def test_a_name_that_is_not_found(run_luau):
    said = problem_of(run_luau, "ws://nowhere.invalid/", "--proxy", "none")
    assert "give its address with --resolve" in said or "nowhere.invalid" in said


def test_a_message_that_is_too_big(run_luau, raw_server):
    def serve(peer):
        # Only the head of it: how long it says that it is.
        peer.accept(send=frame(TEXT, b"x")[:1] + b"\x7f" + (1 << 40).to_bytes(8, "big"))
        peer.recv_close()

    url = raw_server(serve).url
    outcome = run_luau("WebSocket.connect(...)", args=(url,))
    assert outcome.stderr == (
        f"{url} was failed with 1009: the server sent a message of at least 1099511627776 bytes, and the most that a "
        "script takes is 67108864\n"
    ), outcome


def test_sending_to_a_connection_that_was_closed_shows_a_reason_that_cannot_control_a_terminal(run_luau, raw_server):
    def serve(peer):
        peer.accept(send=frame(8, close_payload(4001, "\x1b[2J")))
        peer.recv_close()

    script = "local ws = WebSocket.connect(...) ws.OnClose:Wait() print(select(2, pcall(ws.Send, ws, 'x')))"
    outcome = run_luau(script, args=(raw_server(serve).url,))
    assert "with code 4001 (\\u{1b}[2J)" in outcome.stdout, outcome
