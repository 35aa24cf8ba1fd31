"""A server in a process of its own: it shares no GIL with the client that it watches."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def running(module: str, *args: str) -> Iterator[str]:
    """The first line that ``python -m tests.stress.MODULE`` prints, its address; it serves while the block lasts.

    Such a program ends when its standard input does.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.stress.{module}", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = process.stdout.readline().strip()
        assert url, "the server did not start"
        try:
            yield url
        finally:
            process.stdin.close()
            process.wait(10)
