"""websocket-rs for threads: ``send`` and ``recv`` of its synchronous client."""

from __future__ import annotations

from typing import Any

from websocket_rs.sync.client import connect as connect_sync

from bench.peers.loops import pulling
from bench.peers.sample import Job, Traffic, main
from bench.workloads import Workload


def connect(job: Job, number: int) -> Any:
    return connect_sync(job.url(number)).__enter__()


def close(ws: Any) -> None:
    ws.__exit__(None, None, None)


def traffic(workload: Workload, ws: Any) -> Traffic:
    return pulling(workload, ws.send, ws.recv)


if __name__ == "__main__":
    main(connect, close, traffic)
