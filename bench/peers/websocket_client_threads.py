"""websocket-client: a blocking socket, without its lock for several threads and its UTF-8 check (pure Python)."""

from __future__ import annotations

from websocket import WebSocket, create_connection

from bench.peers.loops import pulling
from bench.peers.sample import Job, Traffic, main
from bench.programs import CA_FILE
from bench.workloads import Workload


def connect(job: Job, number: int) -> WebSocket:
    trust = {"ca_certs": str(CA_FILE)} if job.workload.tls else {}
    return create_connection(job.url(number), enable_multithread=False, skip_utf8_validation=True, sslopt=trust)


def close(ws: WebSocket) -> None:
    ws.close()


def traffic(workload: Workload, ws: WebSocket) -> Traffic:
    return pulling(workload, ws.send, ws.recv)


if __name__ == "__main__":
    main(connect, close, traffic)
