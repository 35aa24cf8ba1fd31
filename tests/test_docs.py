"""Every example in the documentation is run, as it stands, against real servers.

- A ``python`` or ``luau`` block is a whole program. Each comment ``Output: ...`` in it is a line that it prints, in
  that order; a ``text`` block behind "It prints:" is all of its output. Nothing else may be printed, nothing may fail.
- A ``console`` block is run command by command, and its output compared. ``^C`` presses Ctrl-C; a line ``...`` stands
  for any lines. ``make``, ``pip`` and the like are not run.
- A block that begins with a comment of a file's name (``-- bot.luau``) is that file for the other blocks of its page.

The examples connect to names like ``echo.example``. Not their text but their surroundings lead them to the servers
here: Python programs start with ``PRELUDE`` (as ``sitecustomize``), which adds ``resolve`` and ``tls`` to ``connect``;
scripts get ``--resolve`` and ``--cacert``; in a console block the address 127.0.0.1:8443 becomes the server's, and the
port 8444 a free one.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests import markdown
from tests.conftest import ROOT, SUNSOCKET, finish
from tests.servers.echo import Echo

HOSTS = ["echo.example", "echo.websocket.events"]
LANGUAGES = {"python", "luau", "console", "text"}
NOT_RUN = {"make", "pip", "cargo", ".venv/bin/python"}
PATIENCE = 30  # seconds, for a program that takes one

PRELUDE = """\
import os
from urllib.parse import urlsplit

import sunsocket.aio


def lead(cls):
    plain = cls.connect.__func__

    def connect(cls, url, **options):
        host, secure = urlsplit(url).hostname, url.startswith("wss:")
        if host in os.environ["DOCS_HOSTS"].split():
            name, port = ("DOCS_WSS_PORT", 443) if secure else ("DOCS_WS_PORT", 80)
            options.setdefault("resolve", {f"{host}:{port}": f"127.0.0.1:{os.environ[name]}"})
            options.setdefault("tls", sunsocket.TLS(ca_file=os.environ["DOCS_CA_FILE"]))
        return plain(cls, url, **options)

    cls.connect = classmethod(connect)


lead(sunsocket.WebSocket)
lead(sunsocket.aio.WebSocket)
sunsocket.connect, sunsocket.aio.connect = sunsocket.WebSocket.connect, sunsocket.aio.WebSocket.connect
"""


class Stage:
    """A folder in which the examples of one page run, and the servers that they meet."""

    def __init__(self, page: Path, folder: Path, plain: Echo, secure: Echo, ca_file: Path) -> None:
        self.folder, self.plain, self.secure = folder, plain, secure
        for block in markdown.blocks(page):
            if (name := file_name(block)) is not None:
                (folder / name).write_text(block.text)
        (folder / "examples").symlink_to(ROOT / "examples")
        (folder / "ca.pem").symlink_to(ca_file)
        prelude = folder / "prelude"
        prelude.mkdir()
        (prelude / "sitecustomize.py").write_text(PRELUDE)
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(prelude),
            "COLUMNS": "100",
            "DOCS_HOSTS": " ".join(HOSTS),
            "DOCS_WS_PORT": str(plain.port),
            "DOCS_WSS_PORT": str(secure.port),
            "DOCS_CA_FILE": str(ca_file),
        }

    def start(self, *command: str | Path, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )

    def run(self, block: markdown.Block) -> None:
        """Runs a program and checks what it prints."""
        name = file_name(block) or f"example{'.py' if block.language == 'python' else '.luau'}"
        (self.folder / name).write_text(block.text)
        if block.language == "python":
            process = self.start(sys.executable, "-W", "error", name)
        else:
            leads = [f"--resolve={host}:80:127.0.0.1:{self.plain.port}" for host in HOSTS]
            leads += [f"--resolve={host}:443:127.0.0.1:{self.secure.port}" for host in HOSTS]
            process = self.start(SUNSOCKET, "run", *leads, "--cacert", "ca.pem", name)
        expected = expected_output(block)
        if stays_open(block):
            assert process.stdout is not None
            assert [process.stdout.readline().rstrip("\n") for _ in expected] == expected
            process.send_signal(signal.SIGINT)
            outcome = finish(process, PATIENCE)
            assert (outcome.stdout, outcome.stderr, outcome.status) == ("", "", 130), outcome
        else:
            outcome = finish(process, PATIENCE)
            assert outcome.stdout.splitlines() == expected, outcome
            assert (outcome.stderr, outcome.status) == ("", 0), outcome

    def type_in(self, block: markdown.Block) -> None:
        """Runs the commands of a console block."""
        status = 0
        for command, shown in commands(block):
            if "8444" in command:
                port = free_port()
                command, shown = command.replace("8444", port), [line.replace("8444", port) for line in shown]
            words = shlex.split(command.replace("127.0.0.1:8443", f"127.0.0.1:{self.secure.port}"))
            if words[0] in NOT_RUN or words[:3] == ["python", "-m", "pytest"]:
                assert not shown, f"{block}: what {words[0]} prints is not compared: leave it out"
            elif command == "echo $?":
                assert shown == [str(status)], block
            else:
                status = self.compare(block, words, shown)

    def compare(self, block: markdown.Block, words: list[str], shown: list[str]) -> int:
        process = self.start(*words, stderr=subprocess.STDOUT)
        if "^C" in shown:
            at = shown.index("^C")
            assert process.stdout is not None
            assert [process.stdout.readline().rstrip("\n") for _ in range(at)] == shown[:at], block
            process.send_signal(signal.SIGINT)
            shown = shown[at + 1 :]
        outcome = finish(process, PATIENCE)
        pattern = "".join("(?:.*\n)*?" if line == "..." else re.escape(line) + "\n" for line in shown)
        assert re.fullmatch(pattern, outcome.stdout), f"{block}: {shlex.join(words)}\n{outcome}"
        return outcome.status


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def file_name(block: markdown.Block) -> str | None:
    """The file that a block is for the others of its page."""
    match = re.match(r"(?:--|#) ([\w.-]+\.(?:luau|py))\n", block.text)
    return match[1] if match else None


def expected_output(block: markdown.Block) -> list[str]:
    if block.output is not None:
        return block.output.splitlines()
    return re.findall(r"(?:--|#) Output: (.*)$", block.text, re.MULTILINE)


def stays_open(block: markdown.Block) -> bool:
    """A script that opens a socket and does not close it runs until Ctrl-C."""
    return block.language == "luau" and "WebSocket.connect(" in block.text and ":Close(" not in block.text


def commands(block: markdown.Block) -> list[tuple[str, list[str]]]:
    """Each command with the lines that it is to print."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def select(*languages: str) -> list[markdown.Block]:
    return [block for page in markdown.pages() for block in markdown.blocks(page) if block.language in languages]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Echo, Echo, Path]]:
    """An echo server over ws, one over wss for the names in the documentation, and the CA that signed for it."""
    folder = tmp_path_factory.mktemp("docs")
    ca = trustme.CA()
    ca_file, certificate = folder / "ca.pem", folder / "server.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    ca.issue_cert(*HOSTS).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with Echo() as plain, Echo(certificate) as secure:
        yield plain, secure, ca_file


def stage_of(block: markdown.Block, folder: Path, servers: tuple[Echo, Echo, Path]) -> Stage:
    return Stage(block.page, folder, *servers)


@pytest.mark.parametrize("block", select("python", "luau"), ids=str)
def test_a_program_prints_what_it_says(block, tmp_path, servers):
    # A file for other blocks may want what they give it: they run it.
    if file_name(block) is None:
        stage_of(block, tmp_path, servers).run(block)


@pytest.mark.parametrize("block", select("console"), ids=str)
def test_a_console_shows_what_is_printed(block, tmp_path, servers):
    stage_of(block, tmp_path, servers).type_in(block)


def test_no_block_escapes():
    for page in markdown.pages():
        found = markdown.blocks(page)
        assert page.read_text().count("```") == 2 * len(found) + 2 * sum(block.output is not None for block in found)
        for block in found:
            assert block.language in LANGUAGES, f"{block}: a block of {block.language!r} is not tested"


def test_each_file_on_a_page_is_used_by_it():
    for block in select("python", "luau"):
        name = file_name(block)
        if name is not None:
            stem = name.removesuffix(".luau")
            others = [other.text for other in markdown.blocks(block.page) if other != block]
            assert any(name in text or f'"./{stem}"' in text for text in others), f"{block}: nobody runs {name}"


@pytest.mark.parametrize("page", markdown.pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in markdown.links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in markdown.anchors(target), f"{page.name}: {link} names no heading"


def test_the_first_examples_are_those_of_the_class():
    examples = [(ROOT / "examples" / name).read_text() for name in ["on_message.luau", "on_close.luau"]]
    shown = [block.text.strip() for block in select("luau")]
    for example in examples:
        assert example.strip() in shown
