"""Standard input, output and error, as whoever starts the command leaves them: closed, full, or with no reader."""

from __future__ import annotations

import os
import signal
import sys

#: The exit status of a program that SIGPIPE has ended, as shells have it.
BROKEN_PIPE = 128 + signal.SIGPIPE


def open_closed() -> None:
    """Has those that are closed (``>&-``) lead to nowhere.

    The next file to be opened would get their numbers: what a script prints would go to one of its sockets.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, and those before are open by now.
            os.open(os.devnull, os.O_RDWR)
    # Python has none for what was closed when it started.
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def say(text: str, status: int) -> int:
    """Writes to standard output; returns the exit status, which is another one where that cannot be done."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _give_up(1)
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE
        complain(f"sunsocket: cannot write to standard output: {error.strerror}")
        return 1
    return status


def complain(text: str) -> None:
    """Writes a line to standard error. Where that cannot be done, there is nowhere to say so."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _give_up(2)


def _give_up(number: int) -> None:
    # Python would try again at its end, and end with a status of its own.
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def end_by_broken_pipe() -> None:
    """Ends this process as commands end that write to a pipe which nobody reads: by SIGPIPE, without a word.

    Returns where no signal can end it, as the first process of a container.
    """
    # Python has switched it off.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
