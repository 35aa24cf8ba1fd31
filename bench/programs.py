"""The programs of the benchmark that are not Python: compiled or installed into ``target/bench`` when they are needed.

The server in C, with and without TLS; the limits in C and in Rust; Node's ``ws``; Lune. One that cannot be had is left
out with the reason; only without the server there is nothing to measure.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILT = ROOT / "target" / "bench"
#: The server's certificate and what a client has to trust.
FILES = BUILT / "tls"
CA_FILE, CERTIFICATES, KEY = FILES / "ca.pem", FILES / "server.pem", FILES / "server.key"
NODE_MODULES = BUILT / "node" / "node_modules"
LUNE_VERSION = "0.11.1"
LUNE = BUILT / "lune" / "bin" / "lune"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """Where it is; or, without a path, the reason why it is nowhere."""

    path: Path | None
    reason: str = ""


def compile_c(source: Path, name: str, *flags: str) -> Program:
    """Compiles one file with the system's C compiler, if that was not done since something beside it changed."""
    program = BUILT / name
    newest = max(file.stat().st_mtime for file in source.parent.glob("*.[ch]"))
    if not program.exists() or program.stat().st_mtime < newest:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            return Program(None, "a C compiler is needed and was not found; install gcc or clang")
        BUILT.mkdir(parents=True, exist_ok=True)
        # Tests in several processes may do this at the same time: it appears whole or not at all.
        with tempfile.TemporaryDirectory(dir=BUILT) as folder:
            made = Path(folder) / name
            command = [compiler, "-O3", "-Wall", "-Wextra", "-o", str(made), str(source), *flags]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                program.unlink(missing_ok=True)
                first = next((line for line in done.stderr.splitlines() if "error" in line), "it failed").strip()
                return Program(None, f"{source.name} could not be compiled: {first}")
            made.replace(program)
    return Program(program)


def server() -> Program:
    return compile_c(HERE / "server" / "server.c", "server")


def tls_server() -> Program:
    """The server over OpenSSL, and the certificate that it shows."""
    program = compile_c(HERE / "server" / "server.c", "server-tls", "-DTLS", "-lssl", "-lcrypto")
    if program.path is None:
        return Program(None, f"{program.reason} (TLS needs OpenSSL's headers; Debian: apt install libssl-dev)")
    if not CA_FILE.exists():
        make_certificates()
    return program


def make_certificates() -> None:
    import trustme

    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    addresses = [f"127.0.0.{number}" for number in range(1, 5)]
    leaf = authority.issue_cert("localhost", *addresses, key_type=trustme.KeyType.ECDSA)
    FILES.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as folder:
        made = Path(folder) / "tls"
        made.mkdir()
        for pem in leaf.cert_chain_pems:
            pem.write_to_path(str(made / CERTIFICATES.name), append=True)
        leaf.private_key_pem.write_to_path(str(made / KEY.name))
        authority.cert_pem.write_to_path(str(made / CA_FILE.name))
        # Another process may have been quicker; then its files stay.
        with contextlib.suppress(OSError):
            made.rename(FILES)


def limit() -> Program:
    return compile_c(HERE / "peers" / "limit.c", "limit")


def rust_limit() -> Program:
    """The limit over TLS and with compression, on the crates that the engine uses."""
    cargo = shutil.which("cargo")
    if cargo is None:
        return Program(None, "cargo is needed and was not found")
    command = [cargo, "build", "--release", "--locked", "--quiet", "-p", "sunsocket-limit"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return Program(None, f"cargo could not build it: {(done.stderr.strip().splitlines() or ['it failed'])[0]}")
    return Program(ROOT / "target" / "release" / "sunsocket-limit")


def node(say: Say) -> Program:
    """Node, with ``ws`` installed."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        return Program(None, "node and npm are needed and were not found")
    target, lock = NODE_MODULES.parent, "package-lock.json"
    if not NODE_MODULES.exists() or not filecmp.cmp(HERE / "node" / lock, target / lock, shallow=False):
        say("installing ws for Node")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(HERE / "node", target)
        done = subprocess.run([npm, "ci", "--silent"], cwd=target, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(target)
            return Program(None, f"npm ci failed: {(done.stderr.strip().splitlines() or ['no reason given'])[0]}")
    return Program(Path(found))


def lune(say: Say, build: bool) -> Program:
    """Lune, with what the benchmark needs of it; compiling it takes minutes, so that it has to be asked for."""
    if LUNE.exists():
        return Program(LUNE)
    if not build:
        return Program(None, "it is not built; --lune has cargo build it, which takes some minutes")
    cargo = shutil.which("cargo")
    if cargo is None:
        return Program(None, "cargo is needed to build it and was not found")
    say(f"building Lune {LUNE_VERSION}: this takes some minutes, once")
    features = "cli,std-net,std-process,std-task"
    command = [cargo, "install", "lune", "--version", LUNE_VERSION, "--locked", "--quiet", "--no-default-features",
               "--features", features, "--root", str(BUILT / "lune")]  # fmt: skip
    environment = {**os.environ, "CARGO_TARGET_DIR": str(BUILT / "lune" / "build")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    shutil.rmtree(BUILT / "lune" / "build", ignore_errors=True)
    if done.returncode:
        return Program(None, f"cargo could not build it: {(done.stderr.strip().splitlines() or ['it failed'])[0]}")
    return Program(LUNE)
