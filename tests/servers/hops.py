"""A server that redirects, refuses or accepts by the path it is asked for, and remembers what it was asked."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sunsocket import HandshakeError
from tests.servers.raw import Peer, RawServer


def redirect(location: str, *lines: str, status: str = "302 Found") -> str:
    return "\r\n".join([status, f"Location: {location}", *lines])


@dataclass
class Request:
    """One opening handshake as it came."""

    head: str
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {}
        for line in self.head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            assert name.lower() not in self.headers, f"{name} came twice"
            self.headers[name.lower()] = value.strip()

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]


class Hops:
    """What stands behind ``answers[path]`` is a status line with header lines; a path without an answer is accepted.

    Attributes:
        requests: The requests, in order.
        accept_lines: Header lines of an acceptance.
        certificates: What each client showed over TLS, in order; None for no certificate.
    """

    def __init__(self, start: Callable[..., RawServer], answers: dict[str, str] | None = None, **options: object):
        self.answers = {} if answers is None else answers
        self.requests: list[Request] = []
        self.accept_lines = b""
        self.certificates: list[Any] = []
        self.raw = start(self._serve, **options)
        self.port = self.raw.port

    @property
    def url(self) -> str:
        return self.raw.url.removesuffix("/")

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def _serve(self, peer: Peer) -> None:
        while b"\r\n\r\n" not in peer.buffer:
            piece = peer.sock.recv(65536)
            if not piece:
                raise EOFError
            peer.buffer += piece
        peer.request, peer.buffer = peer.buffer.split(b"\r\n\r\n", 1)
        request = Request(peer.request.decode())
        if isinstance(peer.sock, ssl.SSLSocket):
            self.certificates.append(peer.sock.getpeercert() or None)
        self.requests.append(request)
        answer = self.answers.get(request.path)
        if answer is None:
            peer.sock.sendall(peer.answer(self.accept_lines))
            peer.finish()
        else:
            # No Content-Length: the body would last as long as the connection, and nobody may wait for it.
            peer.sock.sendall(b"HTTP/1.1 " + answer.encode("latin-1") + b"\r\n\r\n")
            peer.wait_for_end()


async def end(face: Any, ws: Any) -> None:
    """Closes, and waits for it."""
    ws.Close()
    await face.do(ws.OnClose.Wait(5))


def refused(face: Any, url: str, kind: type[Exception] = HandshakeError, **options: Any) -> Any:
    """The error with which connecting ends."""
    caught = []

    async def test() -> None:
        with pytest.raises(kind) as error:
            await face.connect(url, **options)
        caught.append(error.value)

    face.run(test)
    return caught[0]


@pytest.fixture
def hops(raw_server: Callable[..., RawServer]) -> Callable[..., Hops]:
    """Starts such servers."""

    def start(answers: dict[str, str] | None = None, **options: object) -> Hops:
        return Hops(raw_server, answers, **options)

    return start


@pytest.fixture
def secure(certificates: Any) -> dict[str, ssl.SSLContext]:
    """What makes such a server one for wss."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.good)
    return {"context": context}
