"""A loop and the reactor that it turns: what is called when something happens, and how either of them ends."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import inspect
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any

from . import _core, _lifetime, _log, _pieces_async
from ._context import InContext, bind
from ._later import Closing


class LoopHooks:
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
        reader = _Reader(self, _stop_before_close(self))
        # In an empty context, and not in that of whoever connects first: handlers have their own.
        contextvars.Context().run(self.loop.add_reader, self.reactor.fileno(), reader)

    def process(self) -> None:
        """Reads, runs handlers, writes."""
        away = self.reactor.process()
        if away is not None:
            _log.logger().warning(
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
        # A Close has begun, and who returns one does not wait for its end.
        if isinstance(result, Closing) or not inspect.isawaitable(result):
            return
        if self.stopped:
            # The loop is closing: it would not run to its end.
            if inspect.iscoroutine(result):
                result.close()
            return
        # A copy, as every task has: what it sets reaches neither the handler's next call nor other tasks.
        context = handler.context.copy() if isinstance(handler, InContext) else None
        task: asyncio.Task[Any] = self.loop.create_task(_await(result), context=context)
        self.tasks.add(task)
        task.add_done_callback(lambda task: self._done(task, handler))

    def _done(self, task: asyncio.Task[Any], handler: Any) -> None:
        self.tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        # These have left the loop already, by way of the task.
        if not isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.failed(error, handler)

    def prepare_handler(self, handler: Any) -> Any:
        """What is called for a handler. Plain functions and coroutine functions are both fine."""
        return bind(handler)

    def room_waiter(self, room: _core.RoomQueue) -> Awaitable[None]:
        """What ``Send`` returns above the high-water mark."""
        return _Room(self, room)

    def check(self) -> asyncio.AbstractEventLoop:
        """The running loop, which has to be this one: only here may tasks of it be woken."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop() and not self.reactor.is_forked():
            raise RuntimeError(
                "this socket belongs to another event loop: what is awaited can be awaited there alone; "
                "Send, Close and abort may be called from anywhere"
            )
        return loop

    def future(self) -> asyncio.Future[Any]:
        """A future for what is to be awaited, which belongs to this loop."""
        return self.check().create_future()

    send_pieces = staticmethod(_pieces_async.send)
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

    def __init__(self, hooks: LoopHooks, until_shutdown: AsyncGenerator[None, None]) -> None:
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


class _Room:
    """Awaiting it waits until the unsent bytes have fallen to the low-water mark."""

    __slots__ = ("_hooks", "_room")

    def __init__(self, hooks: LoopHooks, room: _core.RoomQueue) -> None:
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


_hooks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopHooks] = weakref.WeakKeyDictionary()


def hooks_of(loop: asyncio.AbstractEventLoop) -> LoopHooks:
    hooks = _hooks.get(loop)
    if hooks is None:
        hooks = _hooks[loop] = LoopHooks(loop)
        hooks.start()
    return hooks


def _stop_before_close(hooks: LoopHooks) -> AsyncGenerator[None, None]:
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
