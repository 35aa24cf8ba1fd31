"""What is measured. A workload is data: every client knows the shapes and carries out any size."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

#: ``echo``: texts go out and come back. ``flood``: they only come. ``send``: they only go. ``connect``: connections are
#: opened and closed with the whole closing handshake. These four have a rate; the other three are what a process holds:
#: ``idle``: memory of open connections. ``rest``: CPU time and wake-ups while one open connection is silent.
#: ``import``: time and memory that importing takes, for a script to start and end.
Shape = Literal["echo", "flood", "send", "connect", "idle", "rest", "import"]

#: The text that ends a ``send``; the server sends it back once everything before it was read.
END = "end"


@dataclass(frozen=True)
class Workload:
    """One kind of traffic. Its unit is one text received (``echo``, ``flood``), one sent, or one connection."""

    name: str
    shape: Shape
    #: Bytes of one text.
    size: int = 0
    #: ``echo``: how many texts are under way at any moment on each connection; ``connect``: how many connections.
    in_flight: int = 1
    #: How many connections there are.
    connections: int = 1
    #: Whether the server speaks TLS.
    tls: bool = False
    #: Whether texts are JSON and compressed.
    deflate: bool = False
    #: Whether the server looks for input all the time, so that no client pays for waking its core.
    hot: bool = False
    #: Whether it is part of ``--quick``.
    quick: bool = False

    @property
    def has_rate(self) -> bool:
        """Whether it is measured as units per second, and not as what a process holds."""
        return self.shape in ("echo", "flood", "send", "connect")

    @property
    def needs(self) -> frozenset[str]:
        """What a client has to be able to do: see ``Client.lacks``."""
        many = self.shape == "echo" and self.connections > 1
        parallel = self.shape == "connect" and self.in_flight > 1
        asked = {"tls": self.tls, "deflate": self.deflate, "many": many, "parallel": parallel}
        return frozenset({name for name, wanted in asked.items() if wanted} | {self.shape})

    @property
    def path(self) -> str:
        """Where the server has this traffic."""
        if self.shape == "echo":
            return "/deflate" if self.deflate else "/echo"
        return f"/flood/{self.size}" if self.shape == "flood" else "/sink"

    @cached_property
    def text(self) -> str:
        """What the client sends."""
        return some_json(self.size) if self.deflate else "x" * self.size

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Workload:
        return cls(**json.loads(text))


def some_json(size: int) -> str:
    """The first bytes of a list of records as an API sends it; deflate makes about a fifth of them."""
    records, number, text = [], 1, "[]"
    while len(text) < size:
        number = number * 48271 % 2147483647
        name, price = f"user-{number % 9973}", f"{number % 100000 / 100:.2f}"
        records.append(
            {"id": number, "name": name, "price": price, "online": number % 3 == 0, "tags": ["alpha", "beta"]}
        )
        text = json.dumps(records, separators=(",", ":"))
    return text[:size]


WORKLOADS = (
    Workload("rtt-8", "echo", 8),
    Workload("rtt-256", "echo", 256, quick=True),
    Workload("hot-256", "echo", 256, hot=True),
    Workload("rtt-8k", "echo", 8 << 10),
    Workload("rtt-64k", "echo", 64 << 10),
    Workload("rtt-2m", "echo", 2 << 20, quick=True),
    Workload("pipe-256", "echo", 256, in_flight=32, quick=True),
    Workload("flood-64", "flood", 64, quick=True),
    Workload("flood-1k", "flood", 1 << 10),
    Workload("flood-64k", "flood", 64 << 10, quick=True),
    Workload("send-64", "send", 64, quick=True),
    Workload("send-1k", "send", 1 << 10),
    Workload("send-64k", "send", 64 << 10),
    Workload("tls-rtt-256", "echo", 256, tls=True, quick=True),
    Workload("tls-pipe-256", "echo", 256, in_flight=32, tls=True),
    Workload("tls-flood-64k", "flood", 64 << 10, tls=True, quick=True),
    Workload("deflate-16k", "echo", 16 << 10, deflate=True, quick=True),
    Workload("connect", "connect", quick=True),
    Workload("tls-connect", "connect", tls=True, quick=True),
    Workload("connect-64", "connect", in_flight=64),
    Workload("busy-1000", "echo", 64, connections=1000),
    Workload("idle", "idle", connections=5000, quick=True),
    Workload("tls-idle", "idle", connections=5000, tls=True),
    Workload("rest", "rest", quick=True),
    Workload("import", "import", quick=True),
)
