"""Toxiproxy between a client and a server: a TCP proxy that does to connections what networks do.

Each kind of trouble has a proxy of its own, so that a client chooses it by the address that it connects to. Toxiproxy
is a Go module, which is built into ``target`` when it is needed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"
PROGRAM = Path(__file__).resolve().parent.parent.parent / "target" / "toxiproxy" / "server"

Toxic = tuple[str, str, dict[str, int]]

#: The two directions; "upstream" is towards the server.
STREAMS = ("upstream", "downstream")
#: Trouble that a connection survives, by name: toxics with their direction and what they are told.
SURVIVED: dict[str, list[Toxic]] = {
    "latency": [(f"latency_{to}", to, {"latency": 100, "jitter": 80}) for to in STREAMS],
    # Kilobytes a second.
    "bandwidth": [(f"bandwidth_{to}", to, {"rate": 300}) for to in STREAMS],
    # Pieces of some 700 bytes, with microseconds between.
    "slicer": [(f"slicer_{to}", to, {"average_size": 700, "size_variation": 400, "delay": 300}) for to in STREAMS],
    # The end of TCP comes so many milliseconds late.
    "slow_close": [("slow_close_downstream", "downstream", {"delay": 1500})],
}
#: Trouble that ends a connection: as soon as the server has sent so many bytes.
LIMITED: dict[str, list[Toxic]] = {"limit_data": [("limit_data_downstream", "downstream", {"bytes": 400_000})]}
#: Trouble that comes and goes: while it is there, no new connection can be opened either. `timeout` swallows everything
#: and ends the connection after a second, `reset_peer` ends it at the next byte.
STORMS: dict[str, list[Toxic]] = {
    "timeout": [(f"timeout_{to}", to, {"timeout": 1000}) for to in STREAMS],
    "reset_peer": [("reset_peer_downstream", "downstream", {"timeout": 0})],
}
ENDED = (*LIMITED, *STORMS)


class CannotBuild(Exception):
    """Why there is no toxiproxy."""


def build() -> None:
    """Builds the proxy, if that was not done yet."""
    if PROGRAM.exists():
        return
    go = shutil.which("go")
    if go is None:
        raise CannotBuild("go was not found")
    environment = {**os.environ, "GOBIN": str(PROGRAM.parent), "GOFLAGS": "-mod=mod"}
    done = subprocess.run([go, "install", MODULE], env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise CannotBuild(f"go could not build {MODULE}: {lines[-1] if lines else 'no reason given'}")


class Proxies:
    """A running toxiproxy with a proxy for each kind of trouble."""

    def __init__(self, api_port: int, upstream_port: int) -> None:
        self.api_port = api_port
        #: The proxies' ports, by the kind of trouble.
        self.ports = {kind: self._listen(kind, upstream_port) for kind in (*SURVIVED, *ENDED)}
        for kind, toxics in (SURVIVED | LIMITED).items():
            self._add(kind, toxics)

    def begin(self, kind: str) -> None:
        """Lets a storm begin for the connections there are and for new ones."""
        self._add(kind, STORMS[kind])

    def end(self, kind: str) -> None:
        for name, _, _ in STORMS[kind]:
            self._ask("DELETE", f"/proxies/{kind}/toxics/{name}")

    def _listen(self, kind: str, upstream_port: int) -> int:
        proxy = {"name": kind, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream_port}", "enabled": True}
        return int(self._ask("POST", "/proxies", proxy)["listen"].rpartition(":")[2])

    def _add(self, kind: str, toxics: list[Toxic]) -> None:
        for name, stream, attributes in toxics:
            toxic = {"name": name, "type": kind, "stream": stream, "attributes": attributes}
            self._ask("POST", f"/proxies/{kind}/toxics", toxic)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body else None)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, f"toxiproxy: {method} {path}: {answer.status} {text!r}"
            return json.loads(text) if text else None


@contextlib.contextmanager
def running(upstream_port: int) -> Iterator[Proxies]:
    """Toxiproxy in front of a server; it runs while the block lasts."""
    build()
    # It cannot choose the port of its API by itself, and another program may be quicker.
    for _ in range(10):
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            port: int = reserved.getsockname()[1]
        command = [str(PROGRAM), "-host", "127.0.0.1", "-port", str(port)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            if answers(process, port):
                try:
                    yield Proxies(port, upstream_port)
                finally:
                    process.kill()
                return
    raise AssertionError("toxiproxy did not start")


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Waits for the API; false when the process has ended instead."""
    while process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        time.sleep(0.01)
    return False
