"""Requests and answers over one socket: each has a number, so that many may be under way at once.

python examples/rpc_asyncio.py wss://rpc.example

Without an address it talks to an echo server of its own, which answers each request with the request itself.
"""

import asyncio
import itertools
import json
import sys
from typing import Any

from sunsocket.aio import WebSocket
from sunsocket.echo import EchoServer


class Client:
    """Calls methods of a server over a WebSocket."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        ws.OnMessage.Connect(self._on_message)
        ws.OnClose.Connect(self._on_close)

    async def call(self, method: str, *params: Any) -> Any:
        """Sends a request and waits for its answer. Cancelling it, with a timeout for example, is fine."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._ws.Send(json.dumps({"id": number, "method": method, "params": params}))
            return await answer
        finally:
            del self._waiting[number]

    def _on_message(self, message: str | bytes) -> None:
        answer = json.loads(message)
        waiting = self._waiting.get(answer["id"])
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _on_close(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the connection closed before the answer came"))


async def main(url: str) -> None:
    async with WebSocket.connect(url) as ws:
        client = Client(ws)
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*(client.call("add", number, number) for number in range(3)))
        for answer in answers:
            print(answer["id"], answer["method"], answer["params"], flush=True)


if len(sys.argv) > 1:
    asyncio.run(main(sys.argv[1]))
else:
    with EchoServer() as server:
        asyncio.run(main(server.url))
