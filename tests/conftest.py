"""Fixtures: real servers, and programs run in processes of their own."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sunsocket import TLS
from tests.faces import Face
from tests.servers.certificates import Certificates
from tests.servers.echo import Echo
from tests.servers.raw import TEXT, Peer, RawServer

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--wss", action="store_true", help="have the servers of the tests of semantics speak TLS")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says at the end what was not counted and why (tests/counting); `make test` repeats that line."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", ())]
    reasons = {where[2].removeprefix("Skipped: ") for where in skipped if isinstance(where, tuple)}
    for reason in sorted(reason for reason in reasons if reason.startswith("counts: ")):
        terminalreporter.write_line(reason)


# No test goes through a proxy of whoever runs it, and no program that a test starts.
for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[variable]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA, and certificates of every kind that a server may show."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secured(request: pytest.FixtureRequest) -> Certificates | None:
    """The certificates of servers over wss, trusted by this process and its children; None for ws."""
    if not request.config.getoption("wss"):
        return None
    certificates: Certificates = request.getfixturevalue("certificates")
    # Before the first connection: the system's trust store is read once.
    os.environ["SSL_CERT_FILE"] = str(certificates.ca_file)
    return certificates


@pytest.fixture(scope="session")
def echo(secured: Certificates | None) -> Iterator[Echo]:
    """An echo server."""
    with Echo(secured.good if secured else None) as server:
        yield server


#: The tests whose programs are followed too when coverage is measured. The other tests' programs run nothing of the
#: package that is not run without them, and to start measuring takes a program as long as to start.
MEASURED = (
    "tests/aio/test_loop_ends.py",
    "tests/aio/test_loops.py",
    "tests/cli/",
    "tests/test_echo.py",
    "tests/test_hooks.py",
    "tests/test_lifetime.py",
    "tests/test_redirects.py",
)


@pytest.fixture(autouse=True)
def _measure_few_programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.node.nodeid.startswith(MEASURED):
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(scope="session")
def deflate_echo() -> Iterator[Echo]:
    """An echo server over ws that compresses."""
    with Echo(compression="deflate") as server:
        yield server


@pytest.fixture(scope="session")
def secure_echo(certificates: Certificates) -> Iterator[Echo]:
    """An echo server over wss, for the name localhost."""
    with Echo(certificates.good) as server:
        yield server


@pytest.fixture(scope="session")
def tls(certificates: Certificates) -> TLS:
    """What trusts ``secure_echo``."""
    return TLS(ca_file=certificates.ca_file)


@pytest.fixture
def raw_server(secured: Certificates | None) -> Iterator[Callable[..., RawServer]]:
    """Starts servers that do to their one client, byte by byte, what a test wants."""
    servers: list[RawServer] = []
    context = None
    if secured is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(secured.good)

    def start(script: Callable[[Peer], None], **options: object) -> RawServer:
        server = RawServer(script, **{"context": context, **options})  # type: ignore[arg-type]
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(params=["threads", "asyncio", "uvloop"])
def face(request: pytest.FixtureRequest) -> Face:
    """Runs a test with threads, with asyncio and with uvloop."""
    return Face(request.param)


class Listener:
    """Listens and accepts nobody, so that it knows whether anybody has tried."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/"

    def was_tried(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            self.sock.accept()[0].close()
            return True
        return False


@pytest.fixture
def listener() -> Iterator[Listener]:
    """For what is to be refused before anything is sent."""
    listener = Listener()
    yield listener
    listener.sock.close()


class Outcome:
    """How a program ended."""

    def __init__(self, stdout: str, stderr: str, status: int) -> None:
        self.stdout, self.stderr, self.status = stdout, stderr, status

    def __repr__(self) -> str:
        return f"status {self.status}\n-- stdout\n{self.stdout}\n-- stderr\n{self.stderr}"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def finish(process: subprocess.Popen[str], timeout: float) -> Outcome:
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        pytest.fail(f"the program did not end within {timeout} s\n-- stdout\n{stdout}\n-- stderr\n{stderr}")
    return Outcome(stdout, stderr, process.returncode)


@pytest.fixture
def start_program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts programs with their output in pipes. What a failed test leaves running ends with the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=ROOT,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        with process:
            pass


@pytest.fixture
def start_python(
    tmp_path: Path, start_program: Callable[..., subprocess.Popen[str]]
) -> Callable[..., subprocess.Popen[str]]:
    """Starts a Python program."""

    def start(code: str, *args: str, flags: tuple[str, ...] = ("-X", "dev")) -> subprocess.Popen[str]:
        path = tmp_path / "program.py"
        # A busy machine is not what asyncio's debug mode is to complain of.
        patient = "    asyncio.get_running_loop().slow_callback_duration = 60\n"
        path.write_text(code.replace("async def main():\n", f"async def main():\n{patient}"))
        return start_program(sys.executable, *flags, str(path), *args)

    return start


@pytest.fixture
def run_python(start_python: Callable[..., subprocess.Popen[str]]) -> Callable[..., Outcome]:
    """Runs a Python program to its end."""

    def run(code: str, *args: str, timeout: float = 30, flags: tuple[str, ...] = ("-X", "dev")) -> Outcome:
        return finish(start_python(code, *args, flags=flags), timeout)

    return run


@pytest.fixture
def end_with_a_handler(
    run_python: Callable[..., Outcome], raw_server: Callable[..., RawServer]
) -> Callable[[str], Outcome]:
    """Runs a program to its end whose main thread ends while a handler is in this statement."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.send(TEXT, b"x")
        peer.wait_for_end()

    def run(statement: str) -> Outcome:
        return run_python(
            f"""
import sys, threading, time
import sunsocket._lifetime
from sunsocket import WebSocket
sunsocket._lifetime.CLOSE_TIMEOUT = 0.2
ws = WebSocket.connect(sys.argv[1], daemon=True, close_timeout=0.2)
started = threading.Event()
def handler(message):
    started.set()
    {statement}
ws.OnMessage.Connect(handler)
started.wait(10)
print("end")
""",
            raw_server(script).url,
            timeout=15,
        )

    return run


SUNSOCKET = Path(sysconfig.get_path("scripts")) / "sunsocket"


@pytest.fixture
def start_luau(
    tmp_path: Path, start_program: Callable[..., subprocess.Popen[str]]
) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``sunsocket run`` on a script given as text or as a path."""

    def start(script: str | Path, *flags: str, args: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        if isinstance(script, str):
            path = tmp_path / "script.luau"
            path.write_text(script)
        else:
            path = script
        return start_program(str(SUNSOCKET), "run", *flags, str(path), *args)

    return start


@pytest.fixture
def run_luau(start_luau: Callable[..., subprocess.Popen[str]]) -> Callable[..., Outcome]:
    """Runs a Luau script to its end."""

    def run(script: str | Path, *flags: str, args: tuple[str, ...] = (), timeout: float = 30) -> Outcome:
        return finish(start_luau(script, *flags, args=args), timeout)

    return run
