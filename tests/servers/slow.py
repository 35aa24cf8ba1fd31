"""A link with little bandwidth: a socket that lets a portion through, then nothing for a moment.

How fast a test goes is decided by the pauses alone. A machine that is slow makes them longer, which every test that
uses this has to allow for.
"""

from __future__ import annotations

import socket
import time

from tests.servers.raw import Peer


class Thin:
    """A socket whose reads and writes are portions with a pause before each."""

    def __init__(self, sock: socket.socket, portion: int, pause: float) -> None:
        self.sock, self.portion, self.pause = sock, portion, pause

    def recv(self, size: int) -> bytes:
        time.sleep(self.pause)
        return self.sock.recv(min(size, self.portion))

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), self.portion):
            time.sleep(self.pause)
            self.sock.sendall(data[at : at + self.portion])


def slowed(peer: Peer, portion: int, pause: float) -> Peer:
    """The same connection over a thin link, from now on."""
    slow = Peer(Thin(peer.sock, portion, pause))  # type: ignore[arg-type]
    slow.request, slow.buffer = peer.request, peer.buffer
    return slow
