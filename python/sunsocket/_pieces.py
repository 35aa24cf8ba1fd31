"""Messages in pieces (RFC 6455 section 5.4): sent from an iterable, received as they arrive.

A message that was begun and cannot be finished leaves the connection in the middle of it, where no other message may
follow: it is closed with 1011 then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from . import _core

#: "Internal error" (RFC 6455 section 7.4.1).
UNFINISHED = (1011, "a message could not be finished")

#: What is being sent: the socket and the thread or task, by their numbers.
_under_way: set[tuple[int, int]] = set()


def check_not_inside(socket: _core.Socket, sender: int) -> None:
    """Refuses to wait for the end of a message whose next piece this very call is to make."""
    if (id(socket), sender) in _under_way:
        raise RuntimeError(
            "cannot send a message in pieces from inside the iterable of another one on the same socket: "
            "it would wait for the end of that; send it afterwards, or in one piece"
        )


class Pieces:
    """Checks that all pieces are of one kind, and gives up what cannot be finished."""

    def __init__(self, socket: Any, first: Any, sender: int) -> None:
        self.socket = socket
        self.is_text = isinstance(first, str)
        self.key = (id(socket), sender)

    def check(self, piece: Any) -> Any:
        if isinstance(piece, str) is not self.is_text:
            kind = "str" if self.is_text else "bytes-like"
            raise TypeError(f"the pieces of one message are of one kind: this one began with {kind}, {piece!r} is not")
        return piece

    def __enter__(self) -> Pieces:
        _under_way.add(self.key)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        _under_way.discard(self.key)
        if kind is not None:
            self.socket.Close(*UNFINISHED)


def send(socket: _core.Socket, pieces: Iterable[Any], text: bool | None, compress: bool | None) -> None:
    """Sends one message from an iterable of ``str`` or bytes-like pieces. An empty iterable sends nothing."""
    if not hasattr(pieces, "__iter__"):
        raise TypeError("an asynchronous iterable can be sent on sunsocket.aio alone")
    iterator = iter(pieces)
    sender = threading.get_ident()
    for first in iterator:
        check_not_inside(socket, sender)
        while not socket._begin_pieces(first, text, compress):
            socket._wait_pieces()
        with Pieces(socket, first, sender) as checked:
            socket._send_piece(first, False)
            for piece in iterator:
                socket._send_piece(checked.check(piece), False)
            socket._send_piece("" if checked.is_text else b"", True)


class Stream:
    """One message that is being received in pieces."""

    def __init__(self, socket: _core.Socket) -> None:
        self.socket = socket
        self.begun = False
        self.complete = False
        self.empty = True

    def __enter__(self) -> Stream:
        self.socket._begin_stream()
        self.begun = True
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends it, once: by then another one may have begun."""
        if self.begun:
            self.begun = False
            self.socket._end_stream(self.complete)

    def is_worth_it(self, piece: str | bytes, last: bool) -> bool:
        """Whether the piece is to be told of: an empty one only says of an empty message what kind it has."""
        self.complete = last
        worth_it = bool(piece) or (last and self.empty)
        self.empty = False
        return worth_it


def receive(socket: _core.Socket, timeout: float | None) -> Iterator[str | bytes]:
    """The pieces of the next message as they arrive. See :meth:`sunsocket.WebSocket.recv_streaming`."""
    with Stream(socket) as stream:
        while not stream.complete:
            taken = socket._take_piece()
            if taken is None:
                if not socket._wait_piece(timeout):
                    raise TimeoutError("no piece of the message within the timeout")
                continue
            if stream.is_worth_it(*taken):
                yield taken[0]
