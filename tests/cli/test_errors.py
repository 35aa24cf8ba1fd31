"""What a script's mistakes and the network's failures look like: on standard error, with a status, in words."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import SUNSOCKET
from tests.servers.raw import Peer


def fails(run_luau, script, *flags, args=()):
    outcome = run_luau(script, *flags, args=args)
    assert outcome.status == 1, outcome
    assert outcome.stdout == "", outcome
    assert "Traceback" not in outcome.stderr, outcome
    return outcome.stderr


def test_a_syntax_error_has_file_and_line(run_luau, tmp_path):
    said = fails(run_luau, "local a = 1\nlocal b = = 2\n")
    assert said == f"{tmp_path}/script.luau:2: Expected identifier when parsing expression, got '='\n"


def test_an_error_has_message_and_traceback_without_frames_of_the_host(run_luau, tmp_path):
    script = """\
local function inner()
    error("bad")
end
local function outer()
    local _ = pcall(type, 1)
    inner()
end
outer()
"""
    path = f"{tmp_path}/script.luau"
    assert fails(run_luau, script) == (
        f"{path}:2: bad\nstack traceback:\n"
        f"  {path}:2 in function inner\n  {path}:6 in function outer\n  {path}:8\n"
    )  # fmt: skip


def test_a_deep_traceback_is_shortened(run_luau):
    said = fails(run_luau, "local function deep() return 1 + deep() end\ndeep()")
    lines = said.splitlines()
    assert "stack overflow" in lines[0]
    assert len(lines) < 30
    assert any(line.startswith("  ... ") and line.endswith(" more") for line in lines)


def test_a_table_that_was_raised_is_shown(run_luau):
    assert fails(run_luau, "error({ code = 1 })").splitlines()[0] == 'an error object: {"code":1}'


def test_an_error_in_a_module_has_the_modules_file_and_line(run_luau, tmp_path):
    (tmp_path / "module.luau").write_text("local x = nil\nreturn x.y\n")
    said = fails(run_luau, "local before = 1\nrequire('./module')")
    first, *rest = said.splitlines()
    assert first == f"{tmp_path}/module.luau:2: attempt to index nil with 'y'"
    assert rest == ["stack traceback:", f"  {tmp_path}/module.luau:2", f"  {tmp_path}/script.luau:2"]


def test_an_error_of_the_class_has_the_scripts_line(run_luau, tmp_path):
    said = fails(run_luau, "local x\nWebSocket.connect(x)")
    path = f"{tmp_path}/script.luau"
    assert said == (
        f'{path}:2: WebSocket.connect takes a URL like "wss://example.com", not nil\nstack traceback:\n  {path}:2\n'
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/", "http"),
        ("example.com", "example.com"),
        ("ws://", "ws://"),
        ("ws://127.0.0.1:0/", "port"),
        ("ws://127.0.0.1:65536/", "port"),
        ("ws://127.0.0.1:x/", "port"),
        ("ws://127.0.0.1/a b", "a b"),
        ("ws://127.0.0.1/\\r\\nX: y", "ws://127.0.0.1/"),
        ("ws://127.0.0.1/#fragment", "fragment"),
        ("", "URL"),
    ],
)
def test_a_wrong_url_is_refused_before_anything_is_sent(run_luau, url, said):
    text = fails(run_luau, f'WebSocket.connect("{url}")').splitlines()[0]
    assert "script.luau:1: " in text
    assert said in text


def test_a_refused_connection_is_named(run_luau, raw_server):
    server = raw_server(lambda peer: None)
    server.stop()
    said = fails(run_luau, "WebSocket.connect(...)", args=(server.url,))
    assert f"127.0.0.1:{server.port}" in said
    assert "refused" in said.lower()


def test_a_404_is_named_with_its_status(run_luau, raw_server):
    def script(peer: Peer):
        while b"\r\n\r\n" not in peer.buffer:
            peer.buffer += peer.sock.recv(65536)
        peer.sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnope\n")
        peer.wait_for_end()

    said = fails(run_luau, "WebSocket.connect(...)", args=(raw_server(script).url,))
    assert "404 Not Found" in said


@pytest.mark.parametrize(
    ("certificate", "word"), [("stranger", "--cacert"), ("wrong_name", "elsewhere.example"), ("expired", "expired")]
)
def test_a_certificate_that_does_not_match_is_an_error_that_says_so(run_luau, certificates, certificate, word):
    from tests.servers.echo import Echo

    with Echo(getattr(certificates, certificate)) as server:
        said = fails(
            run_luau, "WebSocket.connect(...)", "--cacert", str(certificates.ca_file), args=(server.url,)
        ).splitlines()[0]
    assert "certificate" in said
    assert word in said


def test_the_same_failures_can_be_caught(run_luau, raw_server):
    server = raw_server(lambda peer: None)
    server.stop()
    outcome = run_luau("print(type(select(2, pcall(WebSocket.connect, ...))))", args=(server.url,))
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("string\n", "", 0), outcome


@pytest.mark.parametrize(
    "text",
    [
        b"#!/usr/bin/env -S sunsocket run\nprint(debug.info(1, 'l'))\n",
        b"\xef\xbb\xbf--\nprint(debug.info(1, 'l'))\n",
        b"\xef\xbb\xbf#!sunsocket\nprint(debug.info(1, 'l'))\n",
        b"--\r\nprint(debug.info(1, 'l'))\r\n",
    ],
    ids=["shebang", "BOM", "BOM and shebang", "CRLF"],
)
def test_a_file_may_begin_and_break_its_lines_as_editors_do(run_luau, tmp_path, text):
    path = tmp_path / "script.luau"
    path.write_bytes(text)
    outcome = run_luau(path)
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("2\n", "", 0), outcome


@pytest.mark.parametrize("text", [b"", b"\n", b"-- nothing", b"\xef\xbb\xbf"], ids=["empty", "line", "comment", "BOM"])
def test_a_script_may_do_nothing(run_luau, tmp_path, text):
    path = tmp_path / "script.luau"
    path.write_bytes(text)
    outcome = run_luau(path)
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("", "", 0), outcome


@pytest.mark.parametrize("text", [b"\x06\x03\x00\x00", b"\x00" * 100, bytes(range(256)), b"\xff\xfe\x00"])
def test_a_file_that_is_no_script_is_a_syntax_error(run_luau, tmp_path, text):
    path = tmp_path / "script.luau"
    path.write_bytes(text)
    outcome = run_luau(path)
    assert outcome.status == 1, outcome
    assert "script.luau:" in outcome.stderr, outcome


def test_a_very_long_line_runs(run_luau, tmp_path):
    script = "local t = {" + "1," * 200_000 + "} print(#t)"
    outcome = run_luau(script)
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("200000\n", "", 0), outcome


def test_a_script_that_eats_all_memory_gets_an_error(tmp_path):
    path = tmp_path / "script.luau"
    path.write_text("local t = {} while true do t[#t + 1] = string.rep('x', 2 ^ 20) .. #t end")
    command = ["sh", "-c", 'ulimit -v 800000; exec "$@"', "sh", str(SUNSOCKET), "run", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stderr == f"not enough memory\nstack traceback:\n  {path}:1\n"
    assert (done.stdout, done.returncode) == ("", 1)
