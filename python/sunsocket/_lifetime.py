"""What the thread face does when the program ends or forks (semantic 8).

An open socket with a handler keeps the program alive until it closes or Ctrl-C is pressed. Then everything that is
still open is closed with 1001, and the dispatcher's thread is joined before the interpreter goes.
"""

from __future__ import annotations

import atexit
import os
import threading

from . import _core

#: The longest that open sockets may take to close at exit, in seconds.
CLOSE_TIMEOUT = 10.0

_registered = False


def register() -> None:
    """Called when the dispatcher starts, once for each."""
    global _registered
    if _registered:
        return
    _registered = True
    # Threads can be started only as long as the interpreter has not begun to end, and handlers may start some: wait
    # where non-daemon threads are waited for, which is before all exit functions.
    wait_early = getattr(threading, "_register_atexit", None)
    if wait_early is not None:
        try:
            wait_early(_wait)
        except RuntimeError:
            # The program is ending already.
            atexit.register(_wait)
    else:
        atexit.register(_wait)
    # Exit functions run in reverse order: registered late, this runs before logging is shut down.
    atexit.register(_stop)


def _wait() -> None:
    try:
        while _core.keepers():
            _core.wait_for_keepers()
    except KeyboardInterrupt:
        _core.shut_down(CLOSE_TIMEOUT)


def _stop() -> None:
    _core.shut_down(CLOSE_TIMEOUT)


os.register_at_fork(after_in_child=_core.after_fork_in_child)
