"""A server that attacks: each connection, in their order, meets the next of its attacks."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from tests.servers.raw import PONG, Peer, RawServer

MIB = 1 << 20
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"

Attack = Callable[[Peer], Any]


class Hostile(RawServer):
    """Runs ``attacks``, one for each connection; ``seen`` has what each of them returned: how its connection ended."""

    def __init__(self, attacks: Iterable[Attack], *, context: ssl.SSLContext | None = None) -> None:
        self.attacks = list(attacks)
        self.seen: list[Any] = [None] * len(self.attacks)
        self._turns = itertools.count()
        self.is_over = threading.Event()
        super().__init__(self._attack, context=context)

    def _attack(self, peer: Peer) -> None:
        turn = next(self._turns)
        try:
            self.seen[turn] = self.attacks[turn](peer)
        finally:
            if turn == len(self.attacks) - 1:
                self.is_over.set()


def ending(peer: Peer) -> int | str:
    """How the client ends the connection: the code of its Close; "end" or "reset" of TCP when it sends none."""
    try:
        return peer.recv_close().code
    except EOFError:
        return "end"
    except OSError:
        return "reset"


def seconds_until_dropped(peer: Peer) -> float:
    """How long the client keeps TCP. That it closes its own half is not the end: what comes is refused after that."""
    begun = time.monotonic()
    with contextlib.suppress(OSError):
        while True:
            peer.send(PONG)
            time.sleep(0.01)
    return time.monotonic() - begun


def reset(sock: socket.socket) -> None:
    """Has the socket's end be a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def asked(peer: Peer) -> Peer:
    """The request has come; nothing of the answer is sent."""
    peer.accept_nothing(b"")
    peer.request, peer.buffer = peer.buffer.split(b"\r\n\r\n", 1)
    return peer


def answer_endlessly(peer: Peer, start: bytes, piece: bytes) -> str:
    """Answers the opening handshake with ``start``, then with ``piece`` on and on, until it is cut off."""
    asked(peer).sock.sendall(start)
    try:
        if flood(peer, piece, 64 * MIB) < 64 * MIB:
            peer.wait_for_end()
            return "cut off"
    except OSError:
        return "cut off"
    return "all of it was taken"


def flood(peer: Peer, piece: bytes, most: int) -> int:
    """Sends ``piece`` until the client has something to say to it or ``most`` bytes are out; returns how many are."""
    sent = 0
    while sent < most and not peer.buffer and not select.select([peer.sock], [], [], 0)[0]:
        peer.sock.sendall(piece)
        sent += len(piece)
    return sent


def after_opening(data: bytes, extra: bytes = b"") -> Attack:
    """An attack that is some bytes behind the opening handshake."""

    def attack(peer: Peer) -> int | str:
        peer.accept(extra, send=data)
        return ending(peer)

    return attack


def head(first: int, length: int) -> bytes:
    """A frame's header: its first byte as it is, its length in the form that it needs."""
    if length < 126:
        return bytes([first, length])
    if length < 1 << 16:
        return bytes([first, 126]) + struct.pack("!H", length)
    return bytes([first, 127]) + struct.pack("!Q", length)


def bomb(size: int) -> bytes:
    """The payload of a compressed message (RFC 7692 7.2.1) that inflates to ``size`` zeros."""
    deflate = zlib.compressobj(9, wbits=-15)
    block = deflate.compress(bytes(MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(size, MIB)
    payload = block * whole
    if rest or not whole:
        deflate = zlib.compressobj(9, wbits=-15)
        payload += deflate.compress(bytes(rest)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return payload.removesuffix(b"\0\0\xff\xff")
