"""The threads on which a program's own ``resolve`` functions run.

A function may take its time: while it runs, whoever connects can be interrupted and keeps to ``open_timeout``. The
engine asks for a few at a time, on threads that only wait for the answer. Where a program ends while Python code runs
on a thread, CPython ends that thread inside its next call, and with it the process, if there is Rust below that call:
so all that the threads here have below them is Python.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NoReturn

from . import _core

Function = Callable[[str, int], list[tuple[str, int]] | None]

_lock = threading.Lock()
_asker: _core.Asker | None = None


def asker() -> _core.Asker:
    """What the engine asks; the first call starts the thread that takes the questions."""
    global _asker
    with _lock:
        if _asker is None:
            _asker = _core.Asker()
            threading.Thread(target=_take, args=(_asker,), name="sunsocket-resolve", daemon=True).start()
        return _asker


def _take(asker: _core.Asker) -> NoReturn:
    while True:
        question = asker.next()
        threading.Thread(target=_run, args=question, name="sunsocket-resolve", daemon=True).start()


def _run(function: Function, host: str, port: int, answering: _core.Answering) -> None:
    try:
        answering.returned(function(host, port))
    except BaseException as error:
        # Also SystemExit: whoever connects is told, as of every other exception.
        answering.raised(error)


def _after_fork_in_child() -> None:
    """The threads, and perhaps somebody who held the lock, stayed in the parent."""
    global _asker, _lock
    _asker, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)
