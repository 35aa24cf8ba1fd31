"""What the thread face does when the program ends or forks (semantic 8).

An open socket with a handler keeps the program alive until it closes or Ctrl-C is pressed. Then everything that is
still open is closed with 1001, and the dispatcher's thread is joined before the interpreter goes.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from typing import cast

from . import _core

#: The longest that open sockets may take to close at exit, in seconds.
CLOSE_TIMEOUT = 10.0

#: A signal that comes in right before the main thread falls asleep does not wake it: it looks this often, in seconds.
LOOK = 1.0

#: How many sockets are named that keep a program alive whose main thread has ended with an error.
MOST_SHOWN = 3

_registered = False
#: Set when an open socket may have stopped to keep the program alive.
_changed = threading.Event()
#: A handler has asked for the program's end: what is open does not keep it alive any more.
_ending = False


class ProgramEnded(BaseException):
    """Raised in a handler that still runs long after the program's end, so that the process can end."""


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


def end() -> None:
    """Ends the program as Ctrl-C does, from any thread."""
    global _ending
    _ending = True
    _changed.set()
    # Not `interrupt_main`, which leaves a main thread that sleeps in the system asleep.
    if callable(signal.getsignal(signal.SIGINT)):
        signal.pthread_kill(cast(int, threading.main_thread().ident), signal.SIGINT)


def _wait() -> None:
    # A Ctrl-C that nobody caught has ended the main thread: it was meant for the whole program.
    interrupted = getattr(sys, "last_type", None) is KeyboardInterrupt
    try:
        _core.watch_keepers(_changed.set)
        if not interrupted and hasattr(sys, "last_type"):
            _say_what_goes_on(_core.keepers())
        while not (interrupted or _ending) and _core.keepers():
            _changed.wait(LOOK)
            _changed.clear()
    except KeyboardInterrupt:
        _core.shut_down(CLOSE_TIMEOUT)


def _say_what_goes_on(urls: list[str]) -> None:
    """The main thread has ended with an error, whose traceback is shown: that the program goes on is no hang."""
    # Somebody who types at a prompt has gone on since, and knows.
    if not urls or hasattr(sys, "ps1") or sys.stderr is None:
        return
    shown = ", ".join(urls[:MOST_SHOWN])
    if len(urls) > MOST_SHOWN:
        shown += f" and {len(urls) - MOST_SHOWN} more"
    # A standard error that is closed is told nothing.
    with contextlib.suppress(OSError, ValueError):
        print(
            f"sunsocket: the program goes on with its handlers, still open: {shown}; Ctrl-C ends it; "
            "daemon=True would not have kept it",
            file=sys.stderr,
            flush=True,
        )


def _stop() -> None:
    _core.shut_down(CLOSE_TIMEOUT)


def _stop_for_good() -> None:
    _core.shut_down(CLOSE_TIMEOUT, last=True)


# An exit function may connect after `_stop`: registered this early, this runs after those of the program.
atexit.register(_stop_for_good)
os.register_at_fork(after_in_child=_core.after_fork_in_child)
