"""picows on uvloop: a ``WSListener`` that takes each text as ``str``; it sends ``bytes``, as its manual does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.peers.sample import AsyncRuns, Job, main_async
from bench.workloads import END

BREATH = 256


@asynccontextmanager
async def client(job: Job) -> AsyncRuns:
    workload = job.workload
    text, in_flight, kind = workload.text.encode(), workload.in_flight, WSMsgType.TEXT
    done = asyncio.Event()
    left = 0

    class Echo(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            nonlocal left
            frame.get_payload_as_utf8_text()
            left -= 1
            if left >= in_flight:
                transport.send(kind, text)
            elif not left:
                done.set()

    class Receive(WSListener):
        def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
            nonlocal left
            frame.get_payload_as_utf8_text()
            left -= 1
            if not left:
                done.set()

    listener = Echo if workload.shape == "echo" else Receive
    transport, _ = await ws_connect(listener, job.url)
    send = transport.send

    async def run(count: int) -> None:
        nonlocal left
        left = 1 if workload.shape == "send" else count
        if workload.shape == "echo":
            for _ in range(in_flight):
                send(kind, text)
        elif workload.shape == "flood":
            send(kind, str(count).encode())
        else:
            for at in range(0, count, BREATH):
                for _ in range(min(BREATH, count - at)):
                    send(kind, text)
                await asyncio.sleep(0)
            send(kind, END.encode())
        await done.wait()
        done.clear()

    yield run
    transport.disconnect()


if __name__ == "__main__":
    main_async(client)
