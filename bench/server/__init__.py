"""Compiling and running ``server.c`` and the other C program, ``peers/limit.c``."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("server.c")


def compile_c(source: Path, into: Path) -> Path:
    """Compiles one file with the system's C compiler, if that was not done since it changed."""
    program = into / source.stem
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise SystemExit("bench: a C compiler is needed for the server and was not found; install gcc or clang")
        into.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O3", "-Wall", "-Wextra", "-o", program, source], check=True)
    return program


@contextmanager
def serve(program: Path, core: int | None) -> Iterator[int]:
    """Runs the server on one core and gives its port."""
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
