"""The servers: how each is built from what is pinned here, and started. What a machine lacks is named."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILT = ROOT / "target" / "interop"
VENV = ROOT / ".venv-interop"

Command = list[str | Path]


class Missing(Exception):
    """What the machine lacks for a server, in one line: it is left out."""


class Broken(Exception):
    """Why a server could not be built or started, in one line: the run fails."""


@dataclass(frozen=True)
class Server:
    """One server. ``build`` returns the command, to which the port and the files are appended."""

    name: str
    build: Callable[[], Command]
    #: What it is a version of, as ``build``'s pinned file calls it.
    version: Callable[[], str]
    #: A proxy in front of the server of `websockets`: only wss.
    template: Path | None = None
    #: Whether it agrees to permessage-deflate.
    deflate: bool = True


# ---- certificates


class Certificates:
    """One CA; a certificate for localhost in the forms that the servers want."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        self.both = folder / "both.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(self.key))
        leaf.private_key_and_cert_chain_pem.write_to_path(str(self.both))
        key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
        chain = [load_pem_x509_certificate(blob.bytes()) for blob in leaf.cert_chain_pems]
        (folder / "server.p12").write_bytes(
            pkcs12.serialize_key_and_certificates(
                b"server",
                key,  # type: ignore[arg-type]
                chain[0],
                chain[1:] or None,
                BestAvailableEncryption(b"interop"),
            )
        )


# ---- building


def _tool(name: str, hint: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} was not found on PATH ({hint})")
    return found


def _run(command: Command, folder: Path, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env={**os.environ, **(env or {})}, text=True, capture_output=True)
    if done.returncode:
        output = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise Broken(f"`{' '.join(map(str, command))}` failed: {output[-1]}")


def _once(source: Path, stamp: Path, build: Callable[[], None]) -> None:
    """Builds unless that was done from the same sources."""
    files = sorted(file for file in source.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    state = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if not stamp.exists() or stamp.read_text() != state:
        build()
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(state)


def _copy(name: str) -> Path:
    """For tools that build beside their sources."""
    shutil.rmtree(BUILT / name, ignore_errors=True)
    shutil.copytree(HERE / name, BUILT / name)
    return BUILT / name


def _python(name: str) -> Callable[[], Command]:
    def build() -> Command:
        python = VENV / "bin" / "python"
        requirements = HERE / "python" / "requirements.txt"

        def install() -> None:
            _run([sys.executable, "-m", "venv", "--clear", VENV], ROOT)
            _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements], ROOT)

        _once(HERE / "python", VENV / ".ready", install)
        return [python, HERE / "python" / "server.py", name]

    return build


def _node() -> Command:
    node, npm = _tool("node", "install Node 18 or newer"), _tool("npm", "it comes with Node")
    _once(
        HERE / "node",
        BUILT / "node" / ".ready",
        lambda: _run([npm, "ci", "--silent", "--no-audit", "--no-fund"], _copy("node")),
    )
    return [node, BUILT / "node" / "server.js"]


def _go(name: str) -> Callable[[], Command]:
    def build() -> Command:
        go, program = _tool("go", "install Go 1.23 or newer"), BUILT / "go-echo"
        _once(
            HERE / "go",
            BUILT / "go.ready",
            lambda: _run([go, "build", "-mod=readonly", "-o", program, "."], HERE / "go"),
        )
        return [program, name]

    return build


def _rust() -> Command:
    cargo = _tool("cargo", "install Rust")
    env = {"CARGO_TARGET_DIR": str(BUILT / "rust")}
    _once(
        HERE / "rust",
        BUILT / "rust.ready",
        lambda: _run([cargo, "build", "--release", "--locked", "--quiet"], HERE / "rust", env),
    )
    return [BUILT / "rust" / "release" / "sunsocket-interop"]


def _java(name: str) -> Callable[[], Command]:
    def build() -> Command:
        java, maven = _tool("java", "install a JDK of 17 or newer"), _tool("mvn", "install Maven")
        _once(HERE / "java", BUILT / "java" / ".ready", lambda: _run([maven, "-q", "-B", "package"], _copy("java")))
        folder = BUILT / "java" / "target"
        return [java, "-cp", f"{folder / 'classes'}:{folder / 'dependency'}/*", "interop.Main", name]

    return build


def _proxy(name: str, *flags: str) -> Callable[[], Command]:
    return lambda: [_tool(name, f"Debian: apt install {'nginx-light' if name == 'nginx' else name}"), *flags]


# ---- versions, as they are pinned


def _pinned(file: str, before: str, after: str) -> Callable[[], str]:
    def version() -> str:
        text = (HERE / file).read_text()
        return text.split(before, 1)[1].split(after, 1)[0]

    return version


def _printed(*command: str) -> Callable[[], str]:
    def version() -> str:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        words = done.stdout.replace("/", " ").split()
        return next((word for word in words if word[:1].isdigit()), "?")

    return version


REQUIREMENTS = "python/requirements.txt"
SERVERS = [
    Server("websockets", _python("websockets"), _pinned(REQUIREMENTS, "\nwebsockets==", "\n")),
    Server("aiohttp", _python("aiohttp"), _pinned(REQUIREMENTS, "\naiohttp==", "\n")),
    Server("uvicorn-websockets", _python("uvicorn-websockets"), _pinned(REQUIREMENTS, "\nuvicorn==", "\n")),
    Server("uvicorn-wsproto", _python("uvicorn-wsproto"), _pinned(REQUIREMENTS, "\nuvicorn==", "\n")),
    Server("ws (Node)", _node, _pinned("node/package.json", '"ws": "', '"')),
    Server(
        "tokio-tungstenite (Rust)",
        _rust,
        _pinned("rust/Cargo.lock", 'name = "tokio-tungstenite"\nversion = "', '"'),
        deflate=False,
    ),
    Server("coder/websocket (Go)", _go("coder"), _pinned("go/go.mod", "coder/websocket v", "\n")),
    Server("gorilla/websocket (Go)", _go("gorilla"), _pinned("go/go.mod", "gorilla/websocket v", "\n")),
    Server(
        "Java-WebSocket",
        _java("java-websocket"),
        _pinned("java/pom.xml", "Java-WebSocket</artifactId>\n      <version>", "<"),
    ),
    Server(
        "Jetty (Java)",
        _java("jetty"),
        _pinned("java/pom.xml", "jetty-websocket-jetty-server</artifactId>\n      <version>", "<"),
    ),
    Server("nginx, proxy", _proxy("nginx", "-c"), _printed("nginx", "-v"), HERE / "proxy" / "nginx.conf"),
    Server("HAProxy, proxy", _proxy("haproxy", "-db", "-f"), _printed("haproxy", "-v"), HERE / "proxy" / "haproxy.cfg"),
]


# ---- running


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _process(command: Command, port: int, log: Path) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        patience = time.monotonic() + 30
        while True:
            if process.poll() is not None or time.monotonic() > patience:
                raise Broken(f"it did not start: see {log.relative_to(ROOT)}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def run(server: Server, command: Command, secure: bool, certificates: Certificates) -> Iterator[str]:
    """The server, with ``ws`` or ``wss``; its address."""
    port = _free_port()
    log = BUILT / f"{server.name.split(',')[0].replace('/', '-').split(' ')[0]}.log"
    with contextlib.ExitStack() as stack:
        if server.template is not None:
            backend = _free_port()
            stack.enter_context(_process([*_python("websockets")(), str(backend)], backend, log))
            folder = BUILT / server.template.stem
            folder.mkdir(parents=True, exist_ok=True)
            text = server.template.read_text()
            for name, value in {
                "PORT": port,
                "BACKEND": backend,
                "FOLDER": folder,
                "CERTIFICATE": certificates.certificate,
                "KEY": certificates.key,
                "BOTH": certificates.both,
            }.items():
                text = text.replace(f"@{name}@", str(value))
            config = folder / server.template.name
            config.write_text(text)
            stack.enter_context(_process([*command, config], port, log))
        else:
            files: Command = [certificates.certificate, certificates.key] if secure else []
            stack.enter_context(_process([*command, str(port), *files], port, log))
        yield f"{'wss://localhost' if secure else 'ws://127.0.0.1'}:{port}"
