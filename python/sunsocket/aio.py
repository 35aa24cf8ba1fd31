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
import atexit
import contextlib
import inspect
import threading
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Coroutine, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack

from . import _core, _lifetime, _log, _options, _pieces
from ._base import Base, State
from ._core import SignalConnection
from ._errors import ConnectionClosed, ConnectionLost

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Signal", "SignalConnection", "State", "WebSocket", "connect"]


_READY = _core.Ready()


class _LoopHooks:
    """What the engine calls beside the program's handlers: one for each loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Weak: `_hooks` is to forget a loop that was dropped, and the reactor with it.
        self._loop = weakref.ref(loop)
        self.reactor = _core.LoopReactor()
        # Tasks of coroutine handlers: the loop itself keeps only weak references.
        self.tasks: set[asyncio.Task[Any]] = set()
        self.stopped = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where everything here runs."""
        loop = self._loop()
        assert loop is not None, "called by a loop that is not there"
        return loop

    def start(self) -> None:
        """Has the loop watch the reactor, and is told when the loop ends: it keeps what it calls back alive as long."""
        self.loop.add_reader(self.reactor.fileno(), _Reader(self, _stop_before_close(self)))

    def process(self) -> None:
        """Reads, runs handlers, writes."""
        away = self.reactor.process()
        if away is not None:
            _log.logger.warning(
                "the event loop was blocked for %.1f s; pings were answered meanwhile, but nothing else ran: "
                "await, or use asyncio.to_thread, for long work",
                away,
            )

    def failed(self, error: BaseException, handler: Any) -> None:
        """A handler raised: the loop's exception handler is told."""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            # Not from here, in the middle of other handlers.
            self.loop.call_soon(_raise, error)
            return
        if isinstance(error, _lifetime.ProgramEnded):
            _log.still_ran(handler)
            return
        loop = self._loop()
        if loop is None or loop.is_closed():
            _log.failed(error, handler)
            return
        what = _log.describe(handler) if handler is not None else "delivering a message"
        loop.call_exception_handler({"message": f"the handler {what} raised", "exception": error})

    def returned(self, result: Any, handler: Any) -> None:
        """A coroutine function's call: a task of its own."""
        if not inspect.isawaitable(result):
            return
        if self.stopped:
            # The loop is closing: it would not run to its end.
            if inspect.iscoroutine(result):
                result.close()
            return
        task: asyncio.Task[Any] = self.loop.create_task(_await(result))
        self.tasks.add(task)
        task.add_done_callback(lambda task: self._done(task, handler))

    def _done(self, task: asyncio.Task[Any], handler: Any) -> None:
        self.tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        # These have left the loop already, by way of the task.
        if not isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.failed(error, handler)

    def check_handler(self, handler: Any) -> None:
        """Plain functions and coroutine functions are both fine."""

    def room_waiter(self, room: _core.RoomQueue) -> Awaitable[None]:
        """What ``Send`` returns above the high-water mark."""
        return _Room(self, room)

    def future(self) -> asyncio.Future[Any]:
        """A future for what is to be awaited, which belongs to this loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop() and not self.reactor.is_forked():
            raise RuntimeError(
                "this socket belongs to another event loop: what is awaited can be awaited there alone; "
                "Send, Close and abort may be called from anywhere"
            )
        return loop.create_future()

    send_pieces = staticmethod(_pieces.send_async)
    busy = staticmethod(_log.busy)
    dropped = staticmethod(_log.dropped)

    def stop(self) -> None:
        """The loop ends: what is open is told so (1001) and dropped, and OnClose fires for it."""
        if self.stopped or self.reactor.is_forked():
            # The child of a fork shares what its parent's loop watches, and leaves it alone.
            return
        self.stopped = True
        loop = self._loop()
        if loop is not None:
            _hooks.pop(loop, None)
            if not loop.is_closed():
                loop.remove_reader(self.reactor.fileno())
        self.reactor.close_all(0)
        self.reactor.process()

    def leave(self) -> None:
        """The program ends, and the loop did not before."""
        loop = self._loop()
        if loop is None or not loop.is_running():
            self.stop()
            return
        # It runs on a daemon thread, which CPython ends inside its next call, and with it the process if there is Rust
        # below that. So it has to be in no call of ours, and stays so for as long as the program's end takes.
        self.reactor.end_handler(_REST)
        rests = threading.Event()
        loop.call_soon_threadsafe(_rest, rests)
        rests.wait(_REST)
        self.reactor.close_all(0)


#: How long a loop on a daemon thread may take to come to rest at the program's end, and how long it rests, in seconds.
_REST = 1.0


def _rest(rests: threading.Event) -> None:
    rests.set()
    time.sleep(_REST)


def _leave_all() -> None:
    for hooks in list(_hooks.values()):
        hooks.leave()


atexit.register(_leave_all)


class _Reader:
    """What a loop calls when the reactor has something to do. It goes when the loop lets go of it, by whatever way."""

    def __init__(self, hooks: _LoopHooks, until_shutdown: AsyncGenerator[None, None]) -> None:
        self._hooks = hooks
        self._until_shutdown = until_shutdown

    def __call__(self) -> None:
        self._hooks.process()

    def __del__(self) -> None:
        self._hooks.stop()
        # Dropped as it is, it would be closed by a task, in a loop that may never run again: Python 3.13 warns of
        # that. Where the loop itself is closing it, it is running.
        with contextlib.suppress(StopIteration, RuntimeError):
            self._until_shutdown.aclose().send(None)


def _raise(error: BaseException) -> None:
    raise error


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


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


class _Room:
    """Awaiting it waits until the unsent bytes have fallen to the low-water mark."""

    __slots__ = ("_hooks", "_room")

    def __init__(self, hooks: _LoopHooks, room: _core.RoomQueue) -> None:
        self._hooks = hooks
        self._room = room

    def __await__(self) -> Generator[Any, None, None]:
        future: asyncio.Future[None] = self._hooks.future()
        self._room.enter(future)
        try:
            yield from future
        finally:
            # One that was cancelled leaves nothing behind.
            self._room.leave(future)


_hooks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopHooks] = weakref.WeakKeyDictionary()


def _hooks_of(loop: asyncio.AbstractEventLoop) -> _LoopHooks:
    hooks = _hooks.get(loop)
    if hooks is None:
        hooks = _hooks[loop] = _LoopHooks(loop)
        hooks.start()
    return hooks


def _stop_before_close(hooks: _LoopHooks) -> AsyncGenerator[None, None]:
    """Is told of the orderly end of a loop, before it closes.

    ``shutdown_asyncgens`` runs there: an asynchronous generator that waits for it is the way to be told that asyncio
    and uvloop share. It is closed early when it is dropped.
    """

    async def until_shutdown() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            hooks.stop()

    generator = until_shutdown()
    step = generator.__anext__()
    with contextlib.suppress(StopIteration):
        step.send(None)
    return generator


class Signal(_core.Signal):
    """``OnMessage`` or ``OnClose`` in a loop. Handlers may be plain functions or coroutine functions."""

    __slots__ = ()

    connect = _core.Signal.Connect
    once = _core.Signal.Once

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


class _Connecting(Generic[_W]):
    """What ``connect`` returns: ``await`` it for the socket, or use it in ``async with``."""

    __slots__ = ("_cls", "_options", "_socket", "_url")

    def __init__(self, cls: type[_W], url: str, options: dict[str, Any]) -> None:
        self._cls = cls
        self._url = url
        self._options = _options.prepare(url, options)
        self._socket: _W | None = None

    async def _connect(self) -> _W:
        loop = asyncio.get_running_loop()
        hooks = _hooks_of(loop)
        future: asyncio.Future[None] = loop.create_future()
        socket = self._cls(hooks.reactor.connect(self._options, hooks, future), Signal, _READY)
        try:
            await future
        except BaseException:
            socket.abort()
            raise
        return socket

    def __await__(self) -> Generator[Any, None, _W]:
        return self._connect().__await__()

    async def __aenter__(self) -> _W:
        self._socket = await self._connect()
        return self._socket

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._socket is not None, "__aenter__ has it"
        await self._socket.__aexit__(kind, error, trace)


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

    @classmethod
    def connect(cls, url: str, **options: Unpack[_options.ConnectOptions]) -> _Connecting[Self]:
        """Opens a connection: ``ws = await WebSocket.connect(url)`` or ``async with WebSocket.connect(url) as ws``.

        The options, and the errors that awaiting raises, are those of :meth:`sunsocket.WebSocket.connect`.

        Raises:
            TypeError, ValueError: An option cannot be used; nothing was sent.
            InvalidURL: ``url`` is not a WebSocket address.
        """
        return _Connecting(cls, url, dict(options))

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
        return _pieces.AsyncReceive(self, _options.check_timeout(timeout))

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
        self.Close()
        await self.OnClose.Wait()


#: ``WebSocket.connect``, for those who look for it here.
connect = WebSocket.connect
