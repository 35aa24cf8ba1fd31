"""The kinds of traffic in which system calls and allocations are counted, and how many messages of each."""

from __future__ import annotations

from bench.workloads import WORKLOADS, Workload

#: Enough messages that what happens now and then is lost in them: a tick of the guardian, a random pool that is filled.
COUNTS = {
    "ws": {"rtt-256": 400, "send-64": 20_000, "flood-64": 20_000, "flood-64k": 300, "rtt-2m": 12},
    "wss": {"tls-rtt-256": 400, "tls-flood-64k": 300},
}


def of_scheme(scheme: str) -> list[tuple[Workload, int]]:
    """Workloads of the benchmark, each with a number of messages."""
    by_name = {workload.name: workload for workload in WORKLOADS}
    return [(by_name[name], count) for name, count in COUNTS[scheme].items()]
