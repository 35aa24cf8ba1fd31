"""Digest authentication (RFC 7616) with a server that computes what it expects by itself, on each face."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.servers.hops import end, refused
from tests.servers.raw import Peer

HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256, "MD5-sess": hashlib.md5, "SHA-256-sess": hashlib.sha256}


class DigestServer:
    """Wants a digest of the user "us er" with the password "pass: word"; ``heads`` are the requests as they came."""

    def __init__(self, start, challenge: str, stale: bool = False) -> None:
        self.challenge = challenge
        self.stale = stale
        self.heads: list[str] = []
        self.url: str = start(self._serve).url + "path?query=1"

    def _serve(self, peer: Peer) -> None:
        while b"\r\n\r\n" not in peer.buffer:
            peer.buffer += peer.sock.recv(65536)
        peer.request, peer.buffer = peer.buffer.split(b"\r\n\r\n", 1)
        self.heads.append(peer.request.decode())
        if not self._is_right(peer.header("Authorization")):
            stale = ", stale=true" if self.stale and len(self.heads) == 2 else ""
            challenges = ["Basic realm=x", self.challenge + stale]
            lines = "".join(f"WWW-Authenticate: {challenge}\r\n" for challenge in challenges)
            peer.sock.sendall(f"HTTP/1.1 401 Who\r\n{lines}\r\n".encode())
            peer.wait_for_end()
            return
        peer.sock.sendall(peer.answer())
        peer.finish()

    def _is_right(self, authorization: str) -> bool:
        if not authorization.startswith("Digest ") or (self.stale and len(self.heads) == 2):
            return False
        given = {
            name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^", ]*))', authorization)
        }
        algorithm = given.get("algorithm", "MD5")

        def digest(text: str) -> str:
            return HASHES[algorithm](text.encode()).hexdigest()

        secret = digest("us er:the realm:pass: word")
        if algorithm.endswith("-sess"):
            secret = digest(f"{secret}:{given['nonce']}:{given['cnonce']}")
        request = digest("GET:/path?query=1")
        middle = given["nonce"]
        if "qop" in given:
            middle = f"{middle}:{given['nc']}:{given['cnonce']}:{given['qop']}"
        assert given["uri"] == "/path?query=1"
        return given["response"] == digest(f"{secret}:{middle}:{request}")


@pytest.mark.parametrize("algorithm", [None, *HASHES])
@pytest.mark.parametrize("qop", [None, "auth", "auth-int,auth"])
def test_a_digest_is_what_the_server_computes(face, raw_server, algorithm, qop):
    parts = ['Digest realm="the realm"', 'nonce="n, 1"', 'opaque="o"']
    parts += [f"algorithm={algorithm}"] * (algorithm is not None) + [f'qop="{qop}"'] * (qop is not None)
    server = DigestServer(raw_server, ", ".join(parts))

    async def test():
        await end(face, await face.connect(server.url, auth=("us er", "pass: word")))

    face.run(test)
    assert len(server.heads) == 2, "a new connection, after one 401"


def test_a_nonce_that_was_too_old_is_replaced(face, raw_server):
    server = DigestServer(raw_server, 'Digest realm="the realm", nonce="n"', stale=True)

    async def test():
        await end(face, await face.connect(server.url, auth=("us er", "pass: word")))

    face.run(test)
    assert len(server.heads) == 3


def test_wrong_credentials_are_tried_once(face, raw_server):
    server = DigestServer(raw_server, 'Digest realm="the realm", nonce="n"')
    error = refused(face, server.url, auth=("us er", "Q-Q"))
    assert "does not accept the credentials" in str(error)
    assert "Q-Q" not in str(error)
    assert len(server.heads) == 2
    error = refused(face, server.url)
    assert "option auth" in str(error)
    assert len(server.heads) == 3, "nothing to prove: not asked again"
