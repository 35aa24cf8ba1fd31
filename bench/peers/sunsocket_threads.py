"""sunsocket for threads: ``handlers`` (``OnMessage.Connect``) and ``pull`` (``recv``)."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from bench.peers.loops import pulling
from bench.peers.sample import Job, Run, Runs, main
from bench.workloads import END, Workload
from sunsocket import WebSocket


def handling(workload: Workload, ws: WebSocket) -> Run:
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

    def run(count: int) -> None:
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
        done.wait()
        done.clear()

    return run


@contextmanager
def client(job: Job) -> Runs:
    with WebSocket.connect(job.url) as ws:
        yield handling(job.workload, ws) if job.style == "handlers" else pulling(job.workload, ws.Send, ws.recv)


if __name__ == "__main__":
    main(client)
