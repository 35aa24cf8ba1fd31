"""What is measured. A workload is data: every client knows the three shapes and carries out any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["echo", "flood", "send"]


@dataclass(frozen=True)
class Workload:
    """One kind of traffic; its unit is one text received (``echo``, ``flood``) or sent (``send``)."""

    name: str
    #: ``echo``: texts go out and come back. ``flood``: they only come. ``send``: they only go.
    shape: Shape
    #: Bytes of one text.
    size: int
    #: ``echo``: how many texts are under way at any moment.
    in_flight: int = 1

    @property
    def path(self) -> str:
        """Where the server has this traffic."""
        return {"echo": "/echo", "flood": f"/flood/{self.size}", "send": "/sink"}[self.shape]

    @property
    def text(self) -> str:
        """What the client sends."""
        return "x" * self.size


WORKLOADS = (
    Workload("rtt-256", "echo", 256),
    Workload("pipe-256", "echo", 256, in_flight=32),
    Workload("flood-64", "flood", 64),
    Workload("send-64", "send", 64),
    Workload("flood-1k", "flood", 1 << 10),
    Workload("flood-64k", "flood", 64 << 10),
    Workload("rtt-64k", "echo", 64 << 10),
)

#: The text that ends a ``send``; the server sends it back once everything before it was read.
END = "end"
