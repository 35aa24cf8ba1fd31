"""What every attack is made of: a hostile server, a victim in a process of its own, a row of the table in the docs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.table import Row, figure, page, rows_of
from tests.conftest import environment
from tests.servers.hostile import MIB, Attack, Hostile
from tests.servers.raw import CLOSE, TEXT, Peer, RawServer

VICTIM = Path(__file__).with_name("victim.py")
PEAKS = pytest.StashKey[dict[str, int]]()
ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--attack-table", metavar="FILE", help="write the table of attacks and their outcomes")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PEAKS] = {}


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[ROWS] = rows_of(session.items)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    if hasattr(config, "workeroutput"):
        # One of several processes that share the tests: what it has found goes to the one that started them.
        rows = [dataclasses.astuple(row) for row in config.stash.get(ROWS, [])]
        config.workeroutput["attacks"] = rows, config.stash[PEAKS]
        return
    target = config.getoption("attack_table", None)
    if target is not None and exitstatus == 0:
        Path(target).write_text(page(config.stash[ROWS], config.stash[PEAKS]))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    if not hasattr(node, "workeroutput"):
        # It crashed, and so the tests have failed.
        return
    rows, found = node.workeroutput["attacks"]
    node.config.stash[ROWS] = [Row(*row) for row in rows]
    peaks = node.config.stash[PEAKS]
    for test, peak in found.items():
        peaks[test] = max(peaks.get(test, 0), peak)


#: What a script is told of in place of the options that Python has.
IN_SCRIPTS = {"max_redirects": "--max-redirects", "open_timeout": "the time for that"}


class Outcome:
    """How the attacks of one server went: what it saw, what the program was told, what it cost."""

    def __init__(self, face: str, seen: list[Any], told: list[dict[str, Any]], cost: dict[str, Any]) -> None:
        self.face = face
        self.seen = seen
        self.told = told
        self.peak: int = cost["peak"]
        self.cpu: float = cost["cpu"]

    @property
    def texts(self) -> list[str]:
        return [told["text"] for told in self.told]

    def was_closed_with(self, code: int, says: str) -> None:
        """Each connection was failed with this code; the program was told once, and why."""
        assert self.seen == [code] * len(self.told)
        assert [told["closed"] for told in self.told] == [1] * len(self.told)
        if self.face != "luau":
            assert [told["code"] for told in self.told] == [code] * len(self.told)
            for text in self.texts:
                assert says in text, text

    def was_refused(self, says: str, kind: str = "HandshakeError") -> None:
        """No connection came to be; the program was told why, a script in its own words."""
        if self.face == "luau":
            for option, words in IN_SCRIPTS.items():
                says = says.replace(option, words)
        for told in self.told:
            assert says in told["text"], told
            assert told["kind"] == ("error" if self.face == "luau" else kind), told
            assert told["closed"] == 0

    def has_ended(self, code: int, says: str = "", messages: int = 0) -> None:
        """The end of each connection was told once, behind so many messages; a script is told no code."""
        for told in self.told:
            assert (told["closed"], told["messages"]) == (1, messages), told
            if self.face != "luau":
                assert told["code"] == code, told
                assert says in told["text"], told


class Victims:
    """The program that makes victims, a process for each task."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(VICTIM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.ended = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("-- status"):
                self.ended.set()
        self.ended.set()

    def send(self, task: dict[str, Any]) -> None:
        self.lines.clear()
        self.ended.clear()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()

    @property
    def have_ended(self) -> bool:
        return self.ended.is_set()

    def receive(self) -> list[str]:
        """What the victim has printed about the attacks."""
        ended = self.ended.wait(10)
        printed = "".join(self.lines)
        assert ended, f"the victim hangs\n{printed}"
        assert self.lines[-1:] == ["-- status 0\n"], printed
        # Between them there may be warnings that it was right to give.
        return [line for line in self.lines[self.lines.index("-- attacks\n") :] if line.startswith("{")]

    def stop(self) -> None:
        # With a child that hangs, if there is one.
        assert self.process.stdin is not None
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.reader.join()
        with self.process:
            pass


class Assault:
    """Sends a victim of one face into attacks."""

    def __init__(self, face: str, friend: Friend, request: pytest.FixtureRequest, *, patience: float) -> None:
        self.face = face
        self.patience = patience
        self.friend = friend
        self.request = request
        self.victims: Victims = request.getfixturevalue("victims")
        self.servers: list[Hostile] = []

    @property
    def limit(self) -> int:
        """The largest message that the victim accepts: a script has the default, where a small one is quicker."""
        return 64 * MIB if self.face == "luau" else MIB

    def __call__(
        self,
        *attacks: Attack,
        mode: str = "listen",
        memory: int = 4 * MIB,
        cpu: float = 5.0,
        context: ssl.SSLContext | None = None,
        url: str | None = None,
        ca_file: str = "",
        timeout: float | None = None,
        connects: int | None = None,
        **options: Any,
    ) -> Outcome:
        """Meets each attack once, in as many ``connects`` as there are attacks unless that is said. ``memory`` and
        ``cpu``: the bytes and seconds that all of them together may take. Of ``options``, a script has those for which
        ``sunsocket run`` has a flag, and else the defaults.
        """
        server = Hostile(attacks, context=context)
        self.servers.append(server)
        if self.face != "luau":
            options = {"max_message_size": self.limit, **options}
        target = url.format(port=server.port) if url else server.url
        task = {
            "face": self.face,
            "friend": self.friend.url,
            "ca_file": ca_file,
            "url": target,
            "count": len(attacks) if connects is None else connects,
            "mode": mode,
            "options": options,
        }
        self.friend.may_go.clear()
        self.victims.send(task)
        give_up = time.monotonic() + (self.patience if timeout is None else timeout)
        while not self.victims.have_ended and not server.is_over.wait(0.02) and time.monotonic() < give_up:
            pass
        self.friend.may_go.set()
        lines = self.victims.receive()
        server.join()
        *told, cost = [json.loads(line) for line in lines]
        assert len(told) == task["count"]
        outcome = Outcome(self.face, server.seen, told, cost)
        peaks = self.request.config.stash[PEAKS]
        name = self.request.function.__name__
        peaks[name] = max(peaks.get(name, 0), outcome.peak)
        print(f"{self.face}: peak {figure(outcome.peak)}, {outcome.cpu:.2f} s of CPU time")
        assert outcome.peak < memory, f"{figure(outcome.peak)} were taken, and {figure(memory)} are allowed"
        assert outcome.cpu < cpu, f"{outcome.cpu} s of CPU time"
        return outcome


class Friend(RawServer):
    """The server that a victim meets first, so that what any connection needs is not counted as the attack's; and that
    it meets last, where it stays until the attacks have seen their ends, which its own end would cut short.
    """

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.goes_on = threading.Event()
        super().__init__(self._befriend)

    def _befriend(self, peer: Peer) -> None:
        peer.accept()
        peer.send(TEXT, b"welcome")
        if b"/last" in peer.request:
            self.may_go.wait()
        if b"/pause" in peer.request:
            self.goes_on.wait()
            self.goes_on.clear()
        peer.send(CLOSE, b"\x03\xe8")
        peer.recv_close()


@pytest.fixture(scope="session")
def friend() -> Iterator[Friend]:
    """A server that means well."""
    server = Friend()
    yield server
    server.may_go.set()
    server.goes_on.set()
    server.stop()


@pytest.fixture(scope="session")
def shared_victims() -> Iterator[list[Victims]]:
    """The one that goes on from test to test, as long as no victim hangs."""
    running: list[Victims] = []
    yield running
    for victims in running:
        victims.stop()


@pytest.fixture
def victims(shared_victims: list[Victims]) -> Iterator[Victims]:
    """What makes victims."""
    if not shared_victims:
        shared_victims.append(Victims())
    yield shared_victims[0]
    if not shared_victims[0].have_ended:
        shared_victims.pop().stop()


@pytest.fixture(params=["threads", "asyncio", "luau"])
def assault(request: pytest.FixtureRequest, friend: Friend) -> Iterator[Assault]:
    """Attacks a program with threads, one on asyncio, and a script."""
    face, _, slow = request.param.partition("-")
    if slow and request.config.getoption("attack_table", None) is None:
        pytest.skip("a script waits here for 10 to 40 s: `make attacks` has the time")
    assault = Assault(face, friend, request, patience=50 if slow else 20)
    yield assault
    for server in assault.servers:
        server.stop()


@pytest.fixture
def server_context(certificates: Any) -> ssl.SSLContext:
    """TLS with the good certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.good)
    return context
