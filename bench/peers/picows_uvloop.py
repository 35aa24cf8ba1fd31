"""picows on uvloop: a ``WSListener`` that takes each text as ``str``; it sends ``bytes``, as its manual does."""

from __future__ import annotations

import asyncio

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.peers.loops import BREATH
from bench.peers.sample import AsyncRun, Job, main_async
from bench.workloads import END, Workload


class Opened:
    """One connection that runs its workload: a listener for each shape, so that none asks what it is for."""

    def __init__(self, workload: Workload) -> None:
        text, in_flight, kind = workload.text.encode(), workload.in_flight, WSMsgType.TEXT
        done = asyncio.Event()
        left = 0

        class Echo(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                nonlocal left
                frame.get_payload_as_utf8_text()
                left -= 1
                if left >= in_flight:
                    transport.send(kind, text)
                elif not left:
                    done.set()

        class Receive(WSListener):  # type: ignore[misc]
            def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
                nonlocal left
                frame.get_payload_as_utf8_text()
                left -= 1
                if not left:
                    done.set()

        class Close(WSListener):  # type: ignore[misc]
            """Gets the server's Close and nothing else."""

            def on_ws_frame(self, transport: WSTransport, _frame: WSFrame) -> None:
                transport.disconnect()

        async def run(count: int) -> None:
            nonlocal left
            send = self.transport.send
            left = 1 if workload.shape == "send" else count
            if workload.shape == "echo":
                for _ in range(in_flight):
                    send(kind, text)
            elif workload.shape == "flood":
                send(kind, str(count).encode())
            elif workload.shape == "send":
                breath = max(1, BREATH // len(text))
                for at in range(0, count, breath):
                    for _ in range(min(breath, count - at)):
                        send(kind, text)
                    await asyncio.sleep(0)
                send(kind, END.encode())
            await done.wait()
            done.clear()

        self.transport: WSTransport = None
        self.listener = Echo if workload.shape == "echo" else Close if workload.shape == "connect" else Receive
        self.run = run
        self.closes = workload.shape == "connect"


async def connect(job: Job, number: int) -> Opened:
    opened = Opened(job.workload)
    opened.transport, _ = await ws_connect(opened.listener, job.url(number), ssl_context=job.ssl_context)
    return opened


async def close(opened: Opened) -> None:
    opened.transport.send_close(WSCloseCode.OK)
    if opened.closes:
        await opened.transport.wait_disconnected()


def traffic(_workload: Workload, opened: Opened) -> AsyncRun:
    return opened.run


if __name__ == "__main__":
    main_async(connect, close, traffic)
