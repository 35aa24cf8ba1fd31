"""What a process holds: descriptors, threads, memory. Linux only, as the engine is for now."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path


def rss() -> int:
    """Resident memory in bytes, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak_rss() -> int:
    """The most that it ever was."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@dataclass(frozen=True)
class Holdings:
    """Counted at one moment."""

    descriptors: int
    threads: int
    rss: int

    @classmethod
    def now(cls) -> Holdings:
        gc.collect()
        # What the allocator keeps for later is nobody's; other systems' libraries have no such call.
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        # The listing itself holds a descriptor while it runs.
        return cls(len(os.listdir("/proc/self/fd")) - 1, int(Path("/proc/self/stat").read_text().split()[19]), rss())

    def __str__(self) -> str:
        return f"{self.descriptors} descriptors, {self.threads} threads, {self.rss / 2**20:.1f} MiB"


def settled(before: Holdings, growth: int, patience: float = 10) -> Holdings:
    """What is held when everything was let go of; fails when that is more than ``before``.

    The engine drops a socket when the server has dropped TCP, so it may take a moment.
    """
    deadline = time.monotonic() + patience
    while True:
        after = Holdings.now()
        fine = after.descriptors <= before.descriptors and after.threads <= before.threads
        if fine and after.rss <= before.rss + growth:
            return after
        if time.monotonic() > deadline:
            names = [thread.name for thread in threading.enumerate()]
            sys.exit(f"LEAK: before: {before}; after: {after} (more than {growth >> 20} MiB is too much); {names}")
        time.sleep(0.05)
