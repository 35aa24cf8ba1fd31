"""websockets' client for threads, without compression."""

from __future__ import annotations

from contextlib import contextmanager

from websockets.sync.client import connect

from bench.peers.loops import pulling
from bench.peers.sample import Job, Runs, main


@contextmanager
def client(job: Job) -> Runs:
    with connect(job.url, compression=None, proxy=None) as ws:
        yield pulling(job.workload, ws.send, ws.recv)


if __name__ == "__main__":
    main(client)
