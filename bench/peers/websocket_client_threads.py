"""websocket-client: a blocking socket, without its lock for several threads and its UTF-8 check (pure Python)."""

from __future__ import annotations

from contextlib import contextmanager

from websocket import create_connection

from bench.peers.loops import pulling
from bench.peers.sample import Job, Runs, main


@contextmanager
def client(job: Job) -> Runs:
    ws = create_connection(job.url, enable_multithread=False, skip_utf8_validation=True)
    yield pulling(job.workload, ws.send, ws.recv)
    ws.close()


if __name__ == "__main__":
    main(client)
