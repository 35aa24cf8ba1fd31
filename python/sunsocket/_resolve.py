"""The threads on which a program's own ``resolve`` functions run.

A function may take its time: while it runs, whoever connects can be interrupted and keeps to ``open_timeout``. The
engine asks for at most a few at a time, and waits for the answers on threads of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from . import _core

Function = Callable[[str, int], list[tuple[str, int]] | None]


def start(function: Function, host: str, port: int, answering: _core.Answering) -> None:
    """Runs the function on a thread that does not keep the program from ending."""
    arguments = (function, host, port, answering)
    threading.Thread(target=_run, args=arguments, name="sunsocket-resolve", daemon=True).start()


def _run(function: Function, host: str, port: int, answering: _core.Answering) -> None:
    try:
        answering.returned(function(host, port))
    except BaseException as error:
        # Also SystemExit: whoever connects is told, as of every other exception.
        answering.raised(error)
