"""An echo server in a process of its own that also pings, and gives up on a client that does not answer in time.

``python -m tests.stress.server`` prints its address and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import Any

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PING_INTERVAL, PING_TIMEOUT = 0.5, 8.0


async def echo(connection: Any) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def main() -> None:
    async with serve(
        echo, "127.0.0.1", 0, max_size=None, compression=None,
        ping_interval=PING_INTERVAL, ping_timeout=PING_TIMEOUT,
    ) as server:  # fmt: skip
        print(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        # Clients that are gone without a word need not be waited for.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
