"""Messages in pieces (RFC 6455 section 5.4): sent from an iterable, received as they arrive.

A message that was begun and cannot be finished leaves the connection in the middle of it, where no other message may
follow: it is closed with 1011 then.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

from . import _core

#: "Internal error" (RFC 6455 section 7.4.1).
UNFINISHED = (1011, "a message could not be finished")

#: What is being sent: the socket and the thread or task, by their numbers.
_under_way: set[tuple[int, int]] = set()


def _check_not_inside(socket: _core.Socket, sender: int) -> None:
    """Refuses to wait for the end of a message whose next piece this very call is to make."""
    if (id(socket), sender) in _under_way:
        raise RuntimeError(
            "cannot send a message in pieces from inside the iterable of another one on the same socket: "
            "it would wait for the end of that; send it afterwards, or in one piece"
        )


class _Pieces:
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

    def __enter__(self) -> _Pieces:
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
        _check_not_inside(socket, sender)
        while not socket._begin_pieces(first, text, compress):
            socket._wait_pieces()
        with _Pieces(socket, first, sender) as checked:
            socket._send_piece(first, False)
            for piece in iterator:
                socket._send_piece(checked.check(piece), False)
            socket._send_piece("" if checked.is_text else b"", True)


async def send_async(
    socket: _core.Socket, pieces: Iterable[Any] | AsyncIterable[Any], text: bool | None, compress: bool | None
) -> None:
    """The same from an iterable or an asynchronous iterable; waits while there is no room."""
    socket._loop_hooks.check()
    iterator = _iterate(pieces)
    sender = id(asyncio.current_task())
    async for first in iterator:
        _check_not_inside(socket, sender)
        while not socket._begin_pieces(first, text, compress):
            future: asyncio.Future[None] = socket._loop_hooks.future()
            socket._add_room(future)
            try:
                if socket._is_sending_pieces:
                    await future
            finally:
                socket._forget(future)
        with _Pieces(socket, first, sender) as checked:
            await socket._send_piece(first, False)
            async for piece in iterator:
                await socket._send_piece(checked.check(piece), False)
            await socket._send_piece("" if checked.is_text else b"", True)


async def _iterate(pieces: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(pieces, AsyncIterable):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece


class _Stream:
    """One message that is being received in pieces."""

    def __init__(self, socket: _core.Socket) -> None:
        self.socket = socket
        self.begun = False
        self.complete = False
        self.empty = True

    def __enter__(self) -> _Stream:
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
    with _Stream(socket) as stream:
        while not stream.complete:
            taken = socket._take_piece()
            if taken is None:
                if not socket._wait_piece(timeout):
                    raise TimeoutError("no piece of the message within the timeout")
                continue
            if stream.is_worth_it(*taken):
                yield taken[0]


class AsyncReceive(AsyncIterator[str | bytes]):
    """The same in a loop.

    A generator that is dropped there is closed by a task of the loop's, some time later. This ends its stream at once,
    so that who leaves ``async for`` early may begin the next one.
    """

    def __init__(self, socket: _core.Socket, timeout: float | None) -> None:
        self._stream = _Stream(socket)
        self._pieces = _receive_async(self._stream, timeout)

    async def __anext__(self) -> str | bytes:
        # A coroutine of ours, which holds this object while it waits.
        return await self._pieces.__anext__()

    async def aclose(self) -> None:
        await self._pieces.aclose()

    def __del__(self) -> None:
        self._stream.end()


async def _receive_async(stream: _Stream, timeout: float | None) -> AsyncGenerator[str | bytes, None]:
    socket = stream.socket
    socket._loop_hooks.check()
    with stream:
        while not stream.complete:
            taken = socket._take_piece()
            if taken is None:
                future: asyncio.Future[None] = socket._loop_hooks.future()
                socket._add_piece_waiter(future)
                try:
                    async with asyncio.timeout(timeout):
                        await future
                finally:
                    socket._forget(future)
                continue
            if stream.is_worth_it(*taken):
                yield taken[0]
