"""What was sent and what came back on one connection: each message once, those of one sender in their order."""

from __future__ import annotations

import random
import threading
from collections import Counter

SIZES = [0, 0, 1, 30, 125, 126, 1000, 5000, 70_000]


class Broken(AssertionError):
    """A promise was broken."""


class Ledger:
    """Books of one connection. Numbers are per sender: a thread, a task, a handler."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()
        self.next_number: Counter[str] = Counter()
        self.outstanding: set[tuple[str, int]] = set()
        self.seen_by_waiters: set[tuple[str, int]] = set()
        self.taken: set[tuple[str, int]] = set()
        self.closes = 0

    def write(self, sender: str, random: random.Random) -> str:
        """The sender's next message, which counts as sent."""
        with self.lock:
            number = self.next_number[sender]
            self.next_number[sender] += 1
            self.outstanding.add((sender, number))
        return f"{sender}:{number}:" + "x" * random.choice(SIZES)

    def unsent(self, message: str | bytes) -> None:
        """Sending it raised."""
        with self.lock:
            self.outstanding.discard(parse(message))

    def took(self, message: str | bytes, session: Session) -> None:
        """Somebody got it as its one taker: a receiver, or the handler."""
        session.saw(message)
        entry = parse(message)
        with self.lock:
            if entry in self.taken:
                raise Broken(f"{self.name}: {entry} came twice")
            self.taken.add(entry)
            self.outstanding.discard(entry)

    def saw(self, message: str | bytes, session: Session) -> None:
        """Somebody in ``Wait`` got a copy. With no handler any more it is the only one."""
        session.saw(message)
        with self.lock:
            self.outstanding.discard(parse(message))

    def closed(self) -> None:
        with self.lock:
            self.closes += 1
            if self.closes > 1:
                raise Broken(f"{self.name}: OnClose fired {self.closes} times")


class Session:
    """One taker for as long as it takes: for each sender the numbers only rise."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    def saw(self, message: str | bytes) -> None:
        sender, number = parse(message)
        last = self.last.get(sender, -1)
        if number <= last:
            raise Broken(f"{sender}:{number} came after {sender}:{last}")
        self.last[sender] = number


def parse(message: str | bytes) -> tuple[str, int]:
    assert isinstance(message, str)
    sender, number, _ = message.split(":", 2)
    return sender, int(number)
