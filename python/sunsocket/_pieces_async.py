"""Messages in pieces on asyncio: sent from an iterable of either kind, received as they arrive. See ``_pieces``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

from . import _core
from ._pieces import Pieces, Stream, check_not_inside


async def send(
    socket: _core.Socket, pieces: Iterable[Any] | AsyncIterable[Any], text: bool | None, compress: bool | None
) -> None:
    """Sends one message from an iterable of either kind; waits while there is no room. An empty one sends nothing."""
    socket._loop_hooks.check()
    iterator = _iterate(pieces)
    sender = id(asyncio.current_task())
    async for first in iterator:
        check_not_inside(socket, sender)
        while not socket._begin_pieces(first, text, compress):
            future: asyncio.Future[None] = socket._loop_hooks.future()
            socket._add_room(future)
            try:
                if socket._is_sending_pieces:
                    await future
            finally:
                socket._forget(future)
        with Pieces(socket, first, sender) as checked:
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


class AsyncReceive(AsyncIterator[str | bytes]):
    """The pieces of the next message as they arrive, in a loop.

    A generator that is dropped there is closed by a task of the loop's, some time later. This ends its stream at once,
    so that who leaves ``async for`` early may begin the next one.
    """

    def __init__(self, socket: _core.Socket, timeout: float | None) -> None:
        self._stream = Stream(socket)
        self._pieces = _receive_async(self._stream, timeout)

    async def __anext__(self) -> str | bytes:
        # A coroutine of ours, which holds this object while it waits.
        return await self._pieces.__anext__()

    async def aclose(self) -> None:
        await self._pieces.aclose()

    def __del__(self) -> None:
        self._stream.end()


async def _receive_async(stream: Stream, timeout: float | None) -> AsyncGenerator[str | bytes, None]:
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
