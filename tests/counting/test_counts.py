"""What a message costs may not grow: system calls, polls, allocations and page faults, counted on each face.

No times: on a slow and busy machine the counts are the same. ``python -m tests.counting`` prints what they are; who
makes something cheaper lowers its budget. A budget is what is counted and a little more, for what happens now and then:
a tick of the guardian, a reader that wakes before everything has come.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

import pytest

from tests.counting.counted import FACES, CannotCount, Counts, between, count, run
from tests.counting.traffic import COUNTS


@dataclass(frozen=True)
class Budget:
    """The most that a message may cost."""

    #: All system calls.
    calls: float
    #: Those among them that ask whether a socket is ready.
    polls: float
    allocations: float
    #: Pages that the kernel has to provide.
    faults: float = 0.1

    def exceeded_by(self, every: Sequence[Counts]) -> list[str]:
        """What is too much in each of several runs."""
        runs = [
            Budget(sum(counts.system_calls.values()), counts.polls, counts.allocations, counts.faults)
            for counts in every
        ]
        least = {field.name: min(getattr(run, field.name) for run in runs) for field in fields(self)}
        return [
            f"{found:.4g} {name}, {getattr(self, name):g} allowed"
            for name, found in least.items()
            if found > getattr(self, name)
        ]


BUDGETS = {
    # One poll that waits for the answer, one read, one write. Allocated is what leads to the handler, and what a script
    # needs for a message and a coroutine that is resumed.
    "rtt-256": {
        "threads, handlers": Budget(calls=3.3, polls=1.1, allocations=1.1),
        # It looks before it gives the GIL away and waits: one poll where the answer is there by then; otherwise two,
        # and one allocation for its place among those who wait. Taking the GIL back may have to be waited for (futex).
        "threads, recv": Budget(calls=5.5, polls=2.1, allocations=1.1),
        # A list is one allocation more, for however many messages there are in it.
        "threads, recv_many": Budget(calls=5.5, polls=2.1, allocations=2.1),
        # The loop waits, and then the engine asks which socket it is.
        "asyncio, handlers": Budget(calls=4.3, polls=2.1, allocations=1.1),
        # The answer is there at the look before the task is suspended, or the task is suspended and the loop waits for
        # each: 3.2 calls or 6.7.
        "asyncio, recv": Budget(calls=7.5, polls=4.2, allocations=1.2),
        "script": Budget(calls=3.3, polls=1.1, allocations=5.3),
    },
    # Some hundred messages share a write; on a busy machine, where the sender is stopped between two, some ten do. A
    # Luau string is one allocation.
    "send-64": {
        "threads, handlers": Budget(calls=0.3, polls=0.1, allocations=0.05),
        "threads, recv": Budget(calls=0.3, polls=0.1, allocations=0.05),
        "threads, recv_many": Budget(calls=0.3, polls=0.1, allocations=0.05),
        "asyncio, handlers": Budget(calls=0.3, polls=0.1, allocations=0.05),
        "asyncio, recv": Budget(calls=0.3, polls=0.1, allocations=0.05),
        "script": Budget(calls=0.3, polls=0.1, allocations=1.1),
    },
    # Some thousand messages share a read, and the reader may wake before they have all come.
    "flood-64": {
        "threads, handlers": Budget(calls=0.02, polls=0.01, allocations=0.01),
        "threads, recv": Budget(calls=0.02, polls=0.01, allocations=0.01),
        "threads, recv_many": Budget(calls=0.02, polls=0.01, allocations=0.01),
        "asyncio, handlers": Budget(calls=0.02, polls=0.01, allocations=0.01),
        "asyncio, recv": Budget(calls=0.02, polls=0.01, allocations=0.01),
        "script": Budget(calls=0.02, polls=0.01, allocations=1.1),
    },
    # Several messages share a read; at the worst each is waited for by itself. Allocated is the text, of 16 pages, that
    # lies where the one before it was, and a buffer for a message of which a read brought only the beginning.
    "flood-64k": {
        "threads, handlers": Budget(calls=2.5, polls=1.2, allocations=2.1, faults=4),
        "threads, recv": Budget(calls=2.5, polls=1.2, allocations=2.1, faults=4),
        "threads, recv_many": Budget(calls=2.5, polls=1.2, allocations=3, faults=4),
        "asyncio, handlers": Budget(calls=2.5, polls=1.2, allocations=2.1, faults=4),
        "asyncio, recv": Budget(calls=2.5, polls=1.2, allocations=2.1, faults=4),
        "script": Budget(calls=2.5, polls=1.2, allocations=2.5, faults=4),
    },
    # Two megabytes are 512 pages. The buffers in which a message arrives and leaves are kept: the text alone may be
    # fresh. Reads and polls are as many as the pieces that the answer arrives in.
    "rtt-2m": {
        "threads, handlers": Budget(calls=40, polls=20, allocations=5, faults=600),
        "threads, recv": Budget(calls=50, polls=20, allocations=16, faults=600),
        "threads, recv_many": Budget(calls=50, polls=20, allocations=18, faults=600),
        "asyncio, handlers": Budget(calls=40, polls=20, allocations=5, faults=600),
        "asyncio, recv": Budget(calls=40, polls=20, allocations=5, faults=600),
        "script": Budget(calls=40, polls=20, allocations=9, faults=100),
    },
    # As over ws, and one allocation of rustls for each record that comes.
    "tls-rtt-256": {
        "threads, handlers": Budget(calls=3.3, polls=1.1, allocations=2.2),
        "threads, recv": Budget(calls=5.5, polls=2.1, allocations=2.1),
        "threads, recv_many": Budget(calls=5.5, polls=2.1, allocations=3.1),
        "asyncio, handlers": Budget(calls=4.3, polls=2.1, allocations=2.2),
        "asyncio, recv": Budget(calls=7.5, polls=4.2, allocations=2.2),
        "script": Budget(calls=3.3, polls=1.1, allocations=6.3),
    },
    # A read brings as many records as there is room for. Allocated is the text, and room for it as it arrives.
    "tls-flood-64k": {
        "threads, handlers": Budget(calls=4, polls=1.5, allocations=2.3, faults=5),
        "threads, recv": Budget(calls=4, polls=1.5, allocations=2.3, faults=5),
        "threads, recv_many": Budget(calls=4, polls=1.5, allocations=3.3, faults=9),
        "asyncio, handlers": Budget(calls=4, polls=1.5, allocations=2.3, faults=5),
        "asyncio, recv": Budget(calls=4, polls=1.5, allocations=2.3, faults=5),
        "script": Budget(calls=4, polls=1.5, allocations=3, faults=5),
    },
}


def counted(*of: str) -> dict[str, Counts]:
    try:
        return count(*of)
    except CannotCount as reason:
        # tests/conftest.py repeats it at the end.
        pytest.skip(f"counts: not checked: {reason}")


@pytest.mark.parametrize("scheme", COUNTS)
@pytest.mark.parametrize("face", FACES)
def test_a_message_costs_no_more_than_its_budget(face: str, scheme: str) -> None:
    runs: list[dict[str, Counts]] = []
    # A machine that is very busy adds to the counts, but neither each time to all of them nor for ever.
    for _ in range(12):
        runs.append(counted(face, scheme))
        exceeded = {name: BUDGETS[name][face].exceeded_by([run[name] for run in runs]) for name in COUNTS[scheme]}
        if not any(exceeded.values()):
            return
    pytest.fail("\n".join(f"{name}: {over}: {runs[-1][name]}" for name, over in exceeded.items() if over))


def test_what_is_counted_is_what_a_program_does() -> None:
    # Calls from two threads, and a block too large for Python's own pools.
    code = """
import os, threading
def work():
    for _ in range(50):
        os.getpgid(0)
def mark(name):
    os.write(1, b"COUNT " + name + b"\\n")
work()
mark(b"begin")
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
blocks = [bytes(100_000) for _ in range(10)]
mark(b"end")
"""
    try:
        marks = run([sys.executable, "-c", code])
    except CannotCount as reason:
        pytest.skip(f"counts: not checked: {reason}")

    counts = between(marks["begin"], marks["end"], 1)
    getpgid = "121"  # it has no name in trace.c; the number is that of x86-64
    assert counts.system_calls.get(getpgid) == 100
    assert counts.allocations >= 10
    assert 1000 <= counts.kilobytes < 1200
