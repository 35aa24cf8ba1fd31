"""Proxies that do what they are asked: HTTP CONNECT and SOCKS5, each connection on a thread."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self


class Proxy:
    """A proxy on the loopback device. ``asked`` has the hosts and ports that tunnels were asked for, in their order.

    Args:
        kind: "http" or "socks5".
        credentials: User name and password that it wants.
        certificate: It wants TLS, and has this certificate.
        route: The address to connect to for a host and port; those themselves by default.
    """

    def __init__(
        self,
        kind: str = "http",
        credentials: tuple[str, str] | None = None,
        certificate: Path | None = None,
        route: Callable[[str, int], tuple[str, int]] = lambda host, port: (host, port),
    ) -> None:
        self.kind = kind
        self.credentials = credentials
        self.route = route
        self.asked: list[tuple[str, int]] = []
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def url(self, scheme: str | None = None) -> str:
        userinfo = ":".join(self.credentials) + "@" if self.credentials else ""
        host = "localhost" if self._context else "127.0.0.1"
        return f"{scheme or ('https' if self._context else self.kind)}://{userinfo}{host}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), client, self._secured(client) as client:
            target = self._http(client) if self.kind == "http" else self._socks5(client)
            if target is None:
                return
            self.asked.append(target)
            try:
                server = socket.create_connection(self.route(*target))
            except OSError:
                self._say_unreachable(client)
                return
            with server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n" if self.kind == "http" else b"\5\0\0\1\0\0\0\0\0\0")
                threading.Thread(target=_relay, args=(server, client), daemon=True).start()
                _relay(client, server)

    def _secured(self, client: socket.socket) -> socket.socket:
        return self._context.wrap_socket(client, server_side=True) if self._context is not None else client

    def _say_unreachable(self, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n" if self.kind == "http" else b"\5\5\0\1\0\0\0\0\0\0")

    def _http(self, client: socket.socket) -> tuple[str, int] | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _read(client, 1)
        text = head.decode()
        self.heads.append(text)
        if self.credentials is not None:
            proof = base64.b64encode(":".join(self.credentials).encode()).decode()
            if f"Proxy-Authorization: Basic {proof}\r\n" not in text:
                client.sendall(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x\r\n\r\n")
                return None
        host, _, port = text.split()[1].rpartition(":")
        return host.strip("[]"), int(port)

    def _socks5(self, client: socket.socket) -> tuple[str, int] | None:
        _, count = _read(client, 2)
        methods = _read(client, count)
        wanted = 2 if self.credentials else 0
        if wanted not in methods:
            client.sendall(b"\5\xff")
            return None
        client.sendall(bytes([5, wanted]))
        if self.credentials:
            given = [_read(client, _read(client, 2 if first else 1)[-1]).decode() for first in (True, False)]
            good = tuple(given) == self.credentials
            client.sendall(b"\1\0" if good else b"\1\1")
            if not good:
                return None
        kind = _read(client, 4)[3]
        if kind == 3:
            host = _read(client, _read(client, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _read(client, size))
        return host, struct.unpack("!H", _read(client, 2))[0]


def _read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _relay(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
