"""Running ``server.c``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.programs import CERTIFICATES, KEY


class Ends(NamedTuple):
    """How many connections ended with the whole closing handshake, and how many without."""

    completed: int
    dropped: int


class Server:
    """One that is running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.port = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("bench: the server did not start, or died")
        return line

    def ends(self) -> Ends:
        """Since the last time that this was asked for."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return Ends(*map(int, self._line().split()))


@contextmanager
def serve(program: Path, core: int | None, *, tls: bool = False, hot: bool = False) -> Iterator[Server]:
    """Runs the server on one core."""
    files = [CERTIFICATES, KEY] if tls else []
    command = [program, "hot" if hot else "wait", *files]
    # At the end its standard input is closed, and then it ends, too.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield Server(process)
