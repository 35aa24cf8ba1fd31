"""websockets' client for threads."""

from __future__ import annotations

from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_sync

from bench.peers.loops import pulling
from bench.peers.sample import Job, Traffic, main
from bench.workloads import Workload


def connect(job: Job, number: int) -> ClientConnection:
    compression = "deflate" if job.workload.deflate else None
    return connect_sync(job.url(number), compression=compression, proxy=None, max_size=None, ssl=job.ssl_context)


def close(ws: ClientConnection) -> None:
    ws.close()


def traffic(workload: Workload, ws: ClientConnection) -> Traffic:
    return pulling(workload, ws.send, ws.recv)


if __name__ == "__main__":
    main(connect, close, traffic)
