"""What the engine calls on the thread face, beside the program's handlers."""

from __future__ import annotations

import sys
from functools import partial
from types import CodeType, CoroutineType, MethodType
from typing import Any

from . import _context, _lifetime, _log, _pieces

#: The flag of a coroutine function's code, ``inspect.CO_COROUTINE``: `inspect` takes 9 ms to import.
CO_COROUTINE = 128


def failed(error: BaseException, handler: Any) -> None:
    """A handler raised: it is reported and disturbs nothing else. SystemExit and Ctrl-C end the program."""
    if isinstance(error, _lifetime.ProgramEnded):
        _log.still_ran(handler)
        return
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        # A handler runs on the dispatcher's thread: to end the program is the main thread's.
        _lifetime.end()
        if isinstance(error, KeyboardInterrupt):
            return
    _log.failed(error, handler)


def returned(result: Any, handler: Any) -> None:
    """A handler returned something: on this face it is dropped."""
    if isinstance(result, CoroutineType):
        result.close()
        _log.logger().error(
            "the handler %s returned a coroutine, which never runs here: use sunsocket.aio",
            _log.describe(handler),
        )


def is_coroutine_function(handler: Any) -> bool:
    """Whether calling it makes a coroutine, for sure."""
    while isinstance(handler, (partial, MethodType)):
        handler = handler.func if isinstance(handler, partial) else handler.__func__
    code = getattr(handler, "__code__", None)
    return isinstance(code, CodeType) and bool(code.co_flags & CO_COROUTINE)


def prepare_handler(handler: Any) -> Any:
    """What is called for a handler. Refuses what can never work."""
    if is_coroutine_function(handler):
        raise TypeError(
            f"{_log.describe(handler)} is a coroutine function, and handlers run on a thread here: "
            "use sunsocket.aio.WebSocket"
        )
    return _context.bind(handler)


#: It is said once.
_said_in_a_loop = False


def look_for_a_loop() -> None:
    """Says that the class for threads is used in a running loop, which stands still whenever it waits."""
    global _said_in_a_loop
    # Without asyncio there is no loop; importing it for the question would take longer than all of ours.
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    if _said_in_a_loop or running is None or running() is None:
        return
    _said_in_a_loop = True
    _log.in_a_loop()


send_pieces = _pieces.send
busy = _log.busy
dropped = _log.dropped
hooks = sys.modules[__name__]
