"""``sunsocket`` and the flags of ``sunsocket run``: what they do, and what is said when they are wrong."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys

import pytest

import sunsocket
from sunsocket.cli import main
from tests.conftest import SUNSOCKET, environment
from tests.servers.raw import TEXT


def command(*args, **env):
    return subprocess.run(
        [str(SUNSOCKET), *args], capture_output=True, text=True, timeout=20, env={**environment(), **env}
    )


def test_version():
    assert command("--version").stdout == f"sunsocket {sunsocket.__version__}\n"


@pytest.mark.parametrize("args", [("--help",), ("run", "--help")], ids=["sunsocket", "run"])
def test_help_shows_examples(args):
    done = command(*args)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "examples:\n  sunsocket run bot.luau\n" in done.stdout
    assert "--local-echo" in done.stdout
    assert "\x1b" not in done.stdout


def test_no_command_prints_help_and_fails():
    done = command()
    assert done.returncode == 2
    assert "sunsocket run bot.luau" in done.stderr


def test_python_runs_it_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "sunsocket.cli", "--version"], capture_output=True, text=True, timeout=20
    )
    assert done.stdout == f"sunsocket {sunsocket.__version__}\n"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--resolve", "example.com:443"), "'example.com:443' is not HOST:PORT:ADDRESS[:PORT]"),
        (("--resolve", "example.com:x:127.0.0.1"), "is not HOST:PORT:ADDRESS[:PORT]"),
        (("--resolve", "example.com:443:localhost:1"), "is not HOST:PORT:ADDRESS[:PORT]"),
        (("--resolve", "example.com:443:127.0.0.1:70000"), "is not HOST:PORT:ADDRESS[:PORT]"),
        (("--resolve", "example.com:443:[::1"), "is not HOST:PORT:ADDRESS[:PORT]"),
        (("--resolve", "*:443:127.0.0.1"), "is not HOST:PORT:ADDRESS[:PORT]"),
        (("--resolve", "b\xfccher.example:443:127.0.0.1"), "is not HOST:PORT:ADDRESS[:PORT]"),
        (("--header", "no colon"), "'no colon' is not \"Name: value\""),
        (("--header", ": no name"), 'is not "Name: value"'),
        (("--header", "X: a\r\nY: b"), "argument --header: the value of the header \"X\" contains '\\r'"),
        (("--header", "X: a\n"), "argument --header: the value of the header \"X\" contains '\\n'"),
        (("--header", "X y: a"), "argument --header: the header name \"X y\" contains ' '"),
        (("--header", "X: \udcff"), "argument --header: the header 'X' is not valid UTF-8"),
        (("--header", "host: a"), "argument --header: the header Host cannot be set: it follows from the URL"),
        (("--header", "Sec-WebSocket-Protocol: a"), "Sec-WebSocket-Protocol cannot be set by scripts"),
        (("--fps", "0"), "argument --fps: '0' is not a number from 1 to 1000"),
        (("--fps", "1001"), "argument --fps: '1001' is not a number from 1 to 1000"),
        (("--fps", "29.97"), "argument --fps: '29.97' is not a number from 1 to 1000"),
        (("--proxy", "ftp://p"), 'argument --proxy: "ftp://p" is not the address of a proxy'),
        (("--unknown",), "unrecognized arguments: --unknown"),
        (("--cacert",), "required: FILE"),
        (("--cacert", "missing.pem"), "the file of --cacert 'missing.pem' does not exist"),
        (("--cacert", "tests"), "the file of --cacert 'tests' is a directory"),
        (("--cacert", "/proc/self/mem"), "the file of --cacert '/proc/self/mem' cannot be read: Input/output error"),
        (("--cacert", "pyproject.toml"), "the file of --cacert 'pyproject.toml' holds no certificate in PEM"),
        (("--insecure", "--cacert", "pyproject.toml"), "the file of --cacert 'pyproject.toml' holds no certificate"),
        (("--local-echo", "--cacert", "pyproject.toml"), "leave --resolve and --cacert out"),
    ],
)
def test_a_wrong_flag_is_named_before_the_script_runs(run_luau, flags, said):
    outcome = run_luau("print('ran')", *flags)
    assert outcome.stdout == "", outcome
    assert said in outcome.stderr, outcome
    assert "Traceback" not in outcome.stderr, outcome
    assert outcome.status == 2, outcome


def test_a_missing_script_is_named():
    done = command("run", "missing.luau")
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == "sunsocket run: the script 'missing.luau' does not exist\n"


def test_a_directory_is_no_script(tmp_path):
    done = command("run", str(tmp_path))
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == f"sunsocket run: the script {str(tmp_path)!r} is a directory\n"


def test_a_script_that_cannot_be_opened_is_named_with_the_reason(tmp_path):
    # Not one without permissions: those do not count for root.
    path = str(tmp_path / "script.luau")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        done = command("run", path)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == f"sunsocket run: the script {path!r} cannot be read: No such device or address\n"


def test_local_echo_names_the_missing_extra(tmp_path, monkeypatch, capsys):
    path = tmp_path / "script.luau"
    path.write_text("print('ran')")
    monkeypatch.setitem(sys.modules, "trustme", None)
    assert main(["run", "--local-echo", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("sunsocket run: the echo server needs")
    assert "trustme is missing" in said.err


# Leaves a number of descriptors free, and gives all back at the end, for what measures coverage.
SHORT_OF_DESCRIPTORS = """
import os, resource, sys
import trustme, websockets.asyncio.server
import sunsocket.echo
from sunsocket.cli import main
allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
free = os.dup(2)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free + int(sys.argv[1]), allowed[1]))
status = main(["run", *sys.argv[2:]])
resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("free", "flags", "said"),
    [
        *((free, (), "sunsocket: cannot start: Too many open files") for free in (1, 2)),
        *(
            (free, ("--local-echo",), "sunsocket run: the echo server of --local-echo cannot be")
            for free in range(1, 8)
        ),
    ],
)
def test_too_few_descriptors_are_said_in_one_line(run_python, tmp_path, free, flags, said):
    path = tmp_path / "script.luau"
    path.write_text("print('ran')")
    outcome = run_python(SHORT_OF_DESCRIPTORS, str(free), *flags, str(path))
    assert (outcome.stdout, outcome.status) == ("", 1), outcome
    assert outcome.stderr.startswith(said), outcome
    assert "Too many open files" in outcome.stderr, outcome
    assert outcome.stderr.count("\n") == 1, outcome


def test_the_certificates_may_come_out_of_a_pipe(certificates, secure_echo, tmp_path):
    path = tmp_path / "script.luau"
    path.write_text("for _ = 1, 2 do WebSocket.connect(...):Close() end print('twice')")
    command = ["bash", "-c", '"$0" run --cacert <(cat "$1") "$2" "$3"', SUNSOCKET, certificates.ca_file, path]
    done = subprocess.run([*command, secure_echo.url], capture_output=True, text=True, timeout=20, env=environment())
    assert (done.stdout, done.stderr, done.returncode) == ("twice\n", "", 0)


def test_the_script_is_required():
    done = command("run")
    assert done.returncode == 2
    assert "FILE" in done.stderr


def test_arguments_are_the_scripts_own(run_luau):
    args = ("one", "", "--insecure", "--help", "a b", "ünïcode")
    outcome = run_luau("print(select('#', ...), ...)", args=args)
    assert (outcome.stdout, outcome.status) == ("6 one  --insecure --help a b ünïcode\n", 0), outcome


def test_an_argument_may_be_any_bytes(tmp_path):
    path = tmp_path / "script.luau"
    path.write_text("print(#..., (...) == '\\255x')")
    done = subprocess.run([str(SUNSOCKET), "run", str(path), b"\xffx"], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr, done.returncode) == ("2 true\n", "", 0)


def test_headers_go_with_every_opening_handshake(run_luau, echo):
    script = """
local ws = WebSocket.connect(... .. "headers")
ws.OnMessage:Connect(function(line)
    if line:match("^X%-") then
        print(line)
    end
end)
"""
    outcome = run_luau(script, "--header", "X-One: 1", "--header", "X-Two:  two words ", args=(echo.url,))
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("X-One: 1\nX-Two: two words\n", "", 0), outcome


def test_resolve_leaves_other_addresses_alone(run_luau, echo):
    script = """
local ws = WebSocket.connect("ws://example.invalid/")
ws:Send("resolved")
print(ws.OnMessage:Wait())
ws:Close()
print(pcall(WebSocket.connect, "ws://other.invalid/"))
"""
    outcome = run_luau(script, "--resolve", f"example.invalid:80:127.0.0.1:{echo.port}")
    first, second = outcome.stdout.splitlines()
    assert first == "resolved", outcome
    assert second.startswith("false "), outcome
    assert "other.invalid" in second, outcome


def test_resolve_takes_an_ipv6_address_in_brackets(run_luau, raw_server):
    def script(peer):
        peer.accept()
        peer.send(TEXT, b"by way of ::1")
        peer.finish()

    try:
        port = raw_server(script, host="::1").port
    except OSError:
        pytest.skip("no IPv6 on this machine")
    script = "local ws = WebSocket.connect('ws://example.invalid/') print(ws.OnMessage:Wait()) ws:Close()"
    outcome = run_luau(script, "--resolve", f"example.invalid:80:[::1]:{port}")
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("by way of ::1\n", "", 0), outcome


def test_insecure_accepts_any_certificate(run_luau, certificates):
    from tests.servers.echo import Echo

    script = "local ws = WebSocket.connect(...) ws:Send('anyhow') print(ws.OnMessage:Wait()) ws:Close()"
    for certificate in [certificates.stranger, certificates.wrong_name, certificates.expired]:
        with Echo(certificate) as server:
            outcome = run_luau(script, "--insecure", args=(server.url,))
        assert (outcome.stdout, outcome.stderr, outcome.status) == ("anyhow\n", "", 0), outcome


def test_nothing_is_coloured_but_on_a_terminal(run_luau):
    outcome = run_luau("warn('careful') error('bad')")
    assert "careful" in outcome.stderr
    assert "bad" in outcome.stderr
    assert "\x1b" not in outcome.stderr, outcome


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("", True), ("1", False)])
def test_no_color_turns_colours_off_on_a_terminal(tmp_path, no_color, coloured):
    import os
    import pty

    path = tmp_path / "script.luau"
    path.write_text("warn('careful')")
    env = {**environment(), "NO_COLOR": no_color} if no_color is not None else environment()
    if no_color is None:
        env.pop("NO_COLOR", None)
    leader, follower = pty.openpty()
    process = subprocess.Popen([str(SUNSOCKET), "run", str(path)], stderr=follower, stdout=subprocess.DEVNULL, env=env)
    os.close(follower)
    said = b""
    try:
        while piece := os.read(leader, 1000):
            said += piece
    except OSError:  # Linux: the other end has gone
        pass
    finally:
        os.close(leader)
    assert process.wait(20) == 0
    assert b"careful" in said
    assert (b"\x1b[" in said) is coloured


@pytest.mark.parametrize(
    ("words", "flag", "right"),
    [
        ("--local-echo", "--local-echo", "--local-echo SCRIPT"),
        ("one --header 'X: 1' two", "--header", "--header 'X: 1' SCRIPT one two"),
        ("--cacert=ca.pem --insecure", "--cacert", "--cacert=ca.pem --insecure SCRIPT"),
        ("--cacert", "--cacert", "--cacert SCRIPT"),
        ("--insecure -- --local-echo", "--insecure", "--insecure SCRIPT -- --local-echo"),
    ],
)
def test_a_flag_behind_the_script_is_pointed_out(run_luau, tmp_path, words, flag, right):
    args = tuple(shlex.split(words))
    outcome = run_luau("print(...)", args=args)
    path = f"{tmp_path}/script.luau"
    assert outcome.stderr == (
        f"sunsocket run: {flag} stands behind {path}, and so it goes to the script; a flag stands before it: "
        f"sunsocket run {right.replace('SCRIPT', path)}\n"
    ), outcome
    # It goes to the script all the same: a script may have flags of its own.
    assert (outcome.stdout, outcome.status) == (" ".join(args) + "\n", 0), outcome


@pytest.mark.parametrize("words", [["--", "SCRIPT", "--local-echo"], ["SCRIPT", "--", "--local-echo"]])
def test_two_hyphens_say_that_it_is_the_scripts(tmp_path, words):
    path = tmp_path / "script.luau"
    path.write_text("print(...)")
    done = command("run", *(word.replace("SCRIPT", str(path)) for word in words))
    assert (done.stdout, done.stderr, done.returncode) == ("--local-echo\n", "", 0)


def test_a_script_or_a_flag_in_place_of_a_command_is_run(tmp_path):
    path = tmp_path / "script.luau"
    path.write_text("print('ran', ...)")
    for words in ([path, "one"], ["--local-echo", path, "one"], ["--insecure", path, "one"]):
        done = command(*map(str, words))
        assert (done.stdout, done.stderr, done.returncode) == ("ran one\n", "", 0), words
    odd = tmp_path / "script"
    path.rename(odd)
    assert command(str(odd)).stdout == "ran\n"


def test_what_is_neither_a_command_nor_a_script_is_named():
    done = command("rnu", "bot.luau")
    said = "sunsocket: 'rnu' is neither a command nor a file; sunsocket --help lists the commands\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", said, 2)
    done = command("missing.luau")
    assert (done.stderr, done.returncode) == ("sunsocket run: the script 'missing.luau' does not exist\n", 2)
