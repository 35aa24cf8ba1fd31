"""What the engine calls on the thread face, beside the program's handlers."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from . import _lifetime, _log, _pieces


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
    if inspect.iscoroutine(result):
        result.close()
        _log.logger.error(
            "the handler %s returned a coroutine, which never runs here: use sunsocket.aio",
            _log.describe(handler),
        )


def check_handler(handler: Any) -> None:
    """Refuses what can never work."""
    if inspect.iscoroutinefunction(handler):
        raise TypeError(
            f"{_log.describe(handler)} is a coroutine function, and handlers run on a thread here: "
            "use sunsocket.aio.WebSocket"
        )


send_pieces = _pieces.send
busy = _log.busy
dropped = _log.dropped
hooks = sys.modules[__name__]
