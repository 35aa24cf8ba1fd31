"""websocket-rs' older asynchronous client, which its authors deprecate.

It alone of theirs ends a connection with the whole closing handshake, and so stands for them where connections are
counted.
"""

from __future__ import annotations

import warnings
from typing import Any

from websocket_rs.async_client import connect as connect_async

from bench.peers.loops import awaiting_task
from bench.peers.sample import AsyncRun, Job, main_async
from bench.workloads import Workload


async def connect(job: Job, number: int) -> Any:
    return await connect_async(job.url(number))


async def close(ws: Any) -> None:
    await ws.close()


def traffic(workload: Workload, ws: Any) -> AsyncRun:
    return awaiting_task(workload, ws.send, ws.recv)


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    main_async(connect, close, traffic)
