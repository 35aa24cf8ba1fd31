"""What the programs of threads and of tasks share: what they count, what failed, and the life of a connection."""

from __future__ import annotations

import random
import traceback
from collections import Counter
from typing import Any

from tests.stress.ledger import Broken, Ledger

failures: list[str] = []
counts: Counter[str] = Counter()


def fail(what: str) -> None:
    failures.append(what)
    traceback.print_exc()


class Shared:
    """One connection, shared by all.

    Attributes:
        over: Somebody ends it, or has: what does not work any more is no failure.
        closing: Close was called: OnClose may fire.
    """

    serial = 0
    ws: Any

    def __init__(self, seed: int) -> None:
        Shared.serial += 1
        self.ledger = Ledger(f"link {Shared.serial}")
        self.random = random.Random(seed)
        self.over = self.closing = False

    def closed(self) -> None:
        try:
            self.ledger.closed()
            # What ends because another link broke is not to hide that one.
            if not self.closing and not failures:
                raise Broken(f"{self.ledger.name} was lost: {self.ws.error!r} {self.ws.close_code}")
        except Broken:
            fail("close")
