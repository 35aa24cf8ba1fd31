"""sunsocket for threads: ``handlers`` (``OnMessage.Connect``), ``pull`` (``recv``) and ``many`` (``recv_many``)."""

from __future__ import annotations

import functools
import sys
import threading

from bench.peers.loops import pulling, pulling_many
from bench.peers.sample import Job, Traffic, main
from bench.programs import CA_FILE
from bench.workloads import END, Workload
from sunsocket import TLS, WebSocket


@functools.cache
def tls() -> TLS:
    return TLS(ca_file=CA_FILE)


def connect(job: Job, number: int) -> WebSocket:
    compression = "deflate" if job.workload.deflate else None
    return WebSocket.connect(job.url(number), compression=compression, tls=tls() if job.workload.tls else None)


def close(ws: WebSocket) -> None:
    ws.__exit__(None, None, None)


def handling(workload: Workload, ws: WebSocket) -> Traffic:
    send, text, in_flight = ws.Send, workload.text, workload.in_flight
    done = threading.Event()
    left = 0

    def echo(_message: object) -> None:
        nonlocal left
        left -= 1
        if left >= in_flight:
            send(text)
        elif not left:
            done.set()

    def receive(_message: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    ws.OnMessage.Connect(echo if workload.shape == "echo" else receive)

    def start(count: int) -> None:
        nonlocal left
        left = 1 if workload.shape == "send" else count
        if workload.shape == "echo":
            for _ in range(in_flight):
                send(text)
        elif workload.shape == "flood":
            send(str(count))
        else:
            for _ in range(count):
                send(text)
            send(END)

    def finish() -> None:
        # At rest the main thread has come to its end, and the open socket keeps the program alive.
        if workload.shape != "rest":
            done.wait()
            done.clear()

    return Traffic(start, finish)


def traffic(workload: Workload, ws: WebSocket) -> Traffic:
    if sys.argv[1] == "many":
        return pulling_many(workload, ws.Send, ws.recv_many)
    return handling(workload, ws) if sys.argv[1] == "handlers" else pulling(workload, ws.Send, ws.recv)


if __name__ == "__main__":
    main(connect, close, traffic)
