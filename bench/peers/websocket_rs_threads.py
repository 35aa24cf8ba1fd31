"""websocket-rs for threads: ``send`` and ``recv`` of its synchronous client."""

from __future__ import annotations

from contextlib import contextmanager

from websocket_rs.sync.client import connect

from bench.peers.loops import pulling
from bench.peers.sample import Job, Runs, main


@contextmanager
def client(job: Job) -> Runs:
    with connect(job.url) as ws:
        yield pulling(job.workload, ws.send, ws.recv)


if __name__ == "__main__":
    main(client)
