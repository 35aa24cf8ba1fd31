"""A real server of somebody else's: the ``websockets`` library's, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


class Echo:
    """Sends every message back. A few paths do something else: see ``_serve``."""

    def __init__(self, certificate: Path | None = None, compression: str | None = None) -> None:
        self.compression = compression
        self.context: ssl.SSLContext | None = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        scheme, host = ("wss", "localhost") if self.context else ("ws", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with serve(
            self._serve, "127.0.0.1", 0, ssl=self.context, max_size=None, ping_interval=None,
            compression=self.compression,
            subprotocols=["chat", "superchat"], select_subprotocol=lambda _, names: names[0] if names else None,
        ) as server:  # fmt: skip
            self.port = next(iter(server.sockets)).getsockname()[1]
            self._started.set()
            await self._stop.wait()

    async def _serve(self, connection: Any) -> None:
        path = connection.request.path
        with contextlib.suppress(ConnectionClosed):
            if path == "/close":
                # Three messages, then a Close.
                for number in range(3):
                    await connection.send(str(number))
                await connection.close(4000, "enough")
            elif path.startswith("/count/"):
                for number in range(int(path.removeprefix("/count/"))):
                    await connection.send(str(number))
                await connection.wait_closed()
            elif path == "/headers":
                for name, value in connection.request.headers.raw_items():
                    await connection.send(f"{name}: {value}")
                await connection.close()
            else:
                async for message in connection:
                    await connection.send(message)
