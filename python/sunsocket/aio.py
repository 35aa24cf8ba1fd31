"""The ``WebSocket`` class for asyncio and uvloop.

The loop watches one descriptor and runs handlers itself: no thread is on a message's way.

::

    from sunsocket.aio import WebSocket

    async with WebSocket.connect("wss://echo.example") as ws:
        ws.Send("Hello")
        print(await ws.recv())
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Coroutine, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, Unpack

from . import _core, _jar, _mixed_up, _options, _pieces_async
from ._base import Base, State
from ._core import SignalConnection
from ._errors import ConnectionClosed, ConnectionLost
from ._later import Closing, Later
from ._loop import hooks_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Signal", "SignalConnection", "State", "WebSocket", "connect"]


_READY = _core.Ready()


_T = TypeVar("_T")


async def _within(timeout: float | None, future: asyncio.Future[_T], what: str) -> _T:
    """Waits for the future, and says what did not come in time."""
    if timeout is None:
        return await future
    try:
        async with asyncio.timeout(timeout):
            return await future
    except TimeoutError:
        # Only ours: another one's time-out comes as a cancellation.
        raise TimeoutError(f"{what} within {timeout} s; nothing is lost, it can be waited for again") from None


class Signal(_core.Signal):
    """``OnMessage`` or ``OnClose`` in a loop. Handlers may be plain functions or coroutine functions."""

    __slots__ = ()

    connect = _core.Signal.Connect
    once = _core.Signal.Once
    if not TYPE_CHECKING:
        __call__ = _mixed_up.not_a_function

    async def Wait(self, timeout: float | None = None) -> Any:
        """Waits for the next value; everybody who waits gets the same.

        Args:
            timeout: Seconds to wait; None waits until the connection closes.

        Returns:
            The message; None for ``OnClose``.

        Raises:
            TimeoutError: Nothing came in time. Nothing is lost.
            ConnectionClosed: The connection closed before a message came.
        """
        timeout = _options.check_timeout(timeout)
        future = self._loop_hooks.future()
        ticket = self._add_future(future)
        took = False
        try:
            value = await _within(timeout, future, "nothing came")
            took = True
            return value
        finally:
            # A message that came when the task was cancelled goes to the next one.
            self._settle(ticket, took)

    wait = Wait


_W = TypeVar("_W", bound="WebSocket")


class _Connecting(Later[_W]):
    """What ``connect`` returns: ``await`` it for the socket, make a task of it, or use it in ``async with``."""

    __slots__ = ("_socket",)

    def __init__(self, cls: type[_W], options: _core.Options, cookies: Any) -> None:
        super().__init__(lambda: _open(cls, options, cookies))
        self._socket: _W | None = None

    async def __aenter__(self) -> _W:
        self._socket = await self
        return self._socket

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._socket is not None, "__aenter__ has it"
        await self._socket.__aexit__(kind, error, trace)

    def __del__(self) -> None:
        if not self.has_begun:
            text = "WebSocket.connect() was never awaited, and nothing was opened"
            warnings.warn(text, RuntimeWarning, stacklevel=2, source=self)

    if not TYPE_CHECKING:

        def _mix_up(self, *_: Any) -> NoReturn:
            # One mistake is told once.
            self.has_begun = True
            _mixed_up.not_in_a_thread()

        __enter__ = __exit__ = __iter__ = _mix_up


async def _open(cls: type[_W], options: _core.Options, cookies: Any) -> _W:
    """Connects in the running loop."""
    loop = asyncio.get_running_loop()
    hooks = hooks_of(loop)
    future: asyncio.Future[None] = loop.create_future()
    socket = cls.__new__(cls, hooks.reactor.connect(options, hooks, future), Signal, _READY)
    try:
        await future
    except BaseException:
        socket.abort()
        raise
    _jar.fill(cookies, socket.url, socket.response_headers)
    return socket._opened()


class WebSocket(Base):
    """A WebSocket connection of the running loop. Make one with :meth:`connect`.

    ``Send``, ``Close`` and ``abort`` may be called from any thread; what is awaited belongs to the loop.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        # What the engine's class has, with the types of this face.
        def Send(
            self,
            message: str | Buffer | Iterable[str | Buffer] | AsyncIterable[str | Buffer],
            text: bool | None = None,
            compress: bool | None = None,
        ) -> Awaitable[None]: ...

        send = Send

        @property
        def OnMessage(self) -> Signal: ...
        @property
        def on_message(self) -> Signal: ...
        @property
        def OnClose(self) -> Signal: ...
        @property
        def on_close(self) -> Signal: ...
    else:
        send = _core.Socket.Send
        __enter__ = __exit__ = __iter__ = _mixed_up.not_in_a_thread

    @classmethod
    def connect(cls, url: str, **options: Unpack[_options.ConnectOptions]) -> _Connecting[Self]:
        """Opens a connection: ``ws = await WebSocket.connect(url)`` or ``async with WebSocket.connect(url) as ws``.

        It is a coroutine for whoever wants one: ``asyncio.create_task(WebSocket.connect(url))``. The options, and the
        errors that awaiting raises, are those of :meth:`sunsocket.WebSocket.connect`.

        Raises:
            TypeError, ValueError: An option cannot be used; nothing was sent.
            InvalidURL: ``url`` is not a WebSocket address.
        """
        return _Connecting(cls, _options.prepare(url, options), options.get("cookies"))

    def Close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:  # type: ignore[override]
        """Starts the closing handshake; awaited, it waits for the end, as ``OnClose.Wait()`` does.

        Arguments and errors are those of :meth:`sunsocket.WebSocket.Close`. Without an answer within ``close_timeout``
        TCP is cut, so that waiting ends. A task that is cancelled while it waits leaves the handshake to go on.
        """
        super().Close(code, reason)
        return Closing(self.wait_closed)

    close = Close  # type: ignore[assignment]

    async def wait_closed(self, timeout: float | None = None) -> None:
        """Waits until the connection has closed, as ``OnClose.Wait(timeout)`` does."""
        await self.OnClose.Wait(timeout)

    if TYPE_CHECKING:

        def recv(self, timeout: float | None = None) -> Coroutine[Any, Any, str | bytes]:  # type: ignore[override]
            """The next message; first come, first served.

            Args:
                timeout: Seconds to wait; None waits until the connection closes.

            Raises:
                TimeoutError: No message came in time. Nothing is lost.
                ConnectionClosed: The connection has closed and every message before that was taken.
            """

    async def _wait_message(self, timeout: float, ticket: int) -> str | bytes:
        """What ``recv`` with a time-out goes on with when no message is there for its ticket."""
        took = False
        try:
            future: asyncio.Future[str | bytes] = self._loop_hooks.future()
            self._wait_on(ticket, future)
            message = await _within(timeout, future, "no message came")
            took = True
        finally:
            # A message that came when the task was cancelled goes to the next one.
            self._settle(ticket, took)
        return message

    async def recv_many(  # type: ignore[override]
        self, limit: int | None = None, timeout: float | None = None
    ) -> list[str | bytes]:
        """The next messages: waits for the first, then gives all that have arrived. First come, first served.

        Args, results and errors are those of :meth:`sunsocket.WebSocket.recv_many`.
        """
        timeout = _options.check_timeout(timeout)
        pauses = self._is_others_turn()
        if not pauses and (held := self._take_many(limit)):
            return held
        self._loop_hooks.check()
        ticket = self._queue(limit)
        took = False
        try:
            if pauses:
                await asyncio.sleep(0)
            messages = self._collect(ticket)
            if messages is None:
                self._look(ticket)
                messages = self._collect(ticket)
            if messages is None:
                future: asyncio.Future[Any] = self._loop_hooks.future()
                self._wait_on(ticket, future)
                await (future if timeout is None else _within(timeout, future, "no message came"))
                messages = self._collect(ticket)
                assert messages is not None, "its future had the first"
            took = True
            return messages
        finally:
            if not took:
                # What came when the task was cancelled goes to the next one.
                self._settle(ticket, False)

    def recv_streaming(self, timeout: float | None = None) -> AsyncIterator[str | bytes]:
        """The pieces of the next message as they arrive; see :meth:`sunsocket.WebSocket.recv_streaming`.

        ``async for piece in ws.recv_streaming()``
        """
        return _pieces_async.AsyncReceive(self, _options.check_timeout(timeout))

    async def ping(self, payload: bytes | str = b"", timeout: float | None = None) -> float:
        """Sends a ping and waits for its pong; see :meth:`sunsocket.WebSocket.ping`."""
        timeout = _options.check_timeout(timeout)
        future: asyncio.Future[float] = self._loop_hooks.future()
        self._add_pong(self._send_ping(payload, timeout), future)
        try:
            return await _within(timeout, future, "no pong came")
        finally:
            self._forget(future)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages until the connection closes; see :meth:`sunsocket.WebSocket.__iter__`."""
        while True:
            try:
                message = await self.recv()
            except ConnectionClosed as closed:
                if isinstance(closed, ConnectionLost) or closed.code not in (1000, 1001, 1005):
                    raise
                return
            yield message

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes and waits for the closing handshake, which ``close_timeout`` bounds."""
        await self.Close()


#: ``WebSocket.connect``, for those who look for it here.
connect = WebSocket.connect
