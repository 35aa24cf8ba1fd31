"""The client of the suite for Python: takes the cases of one server, on one face.

Prints a line ``ID OUTCOME`` for each case; the server writes the report at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json

import sunsocket
from sunsocket import ConnectionClosed, Deflate, aio

# Not public: what `sunsocket run --compression` reads.
from sunsocket._deflate import parse


class Threads:
    """Handlers on the dispatcher's thread."""

    def __init__(self, base: str, compression: Deflate | None) -> None:
        self.base = base
        self.compression = compression

    def ask(self, path: str) -> str | None:
        with sunsocket.WebSocket.connect(self.base + path) as ws:
            try:
                return str(ws.recv())
            except ConnectionClosed:
                return None

    def echo(self, path: str) -> None:
        ws = sunsocket.WebSocket.connect(self.base + path, compression=self.compression)
        ws.OnMessage.Connect(ws.Send)
        ws.OnClose.Wait()


class Asyncio:
    """A task that receives."""

    def __init__(self, base: str, compression: Deflate | None) -> None:
        self.base = base
        self.compression = compression
        self.runner = asyncio.Runner()

    def ask(self, path: str) -> str | None:
        return self.runner.run(self._ask(path))

    def echo(self, path: str) -> None:
        self.runner.run(self._echo(path))

    async def _ask(self, path: str) -> str | None:
        async with aio.WebSocket.connect(self.base + path) as ws:
            try:
                return str(await ws.recv())
            except ConnectionClosed:
                return None

    async def _echo(self, path: str) -> None:
        ws = await aio.WebSocket.connect(self.base + path, compression=self.compression)
        try:
            while True:
                await ws.Send(await ws.recv())
        except ConnectionClosed:
            # As the case has it: the server judges.
            await ws.OnClose.Wait()


FACES: dict[str, type[Threads | Asyncio]] = {"threads": Threads, "aio": Asyncio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("face", choices=FACES)
    parser.add_argument("url", help="of the fuzzing server")
    parser.add_argument("compression", type=parse, help="as for `sunsocket run --compression`")
    given = parser.parse_args()
    client = FACES[given.face](given.url, given.compression)
    for number in range(1, int(client.ask("/getCaseCount") or 0) + 1):
        case = json.loads(client.ask(f"/getCaseInfo?case={number}") or "")["id"]
        client.echo(f"/runCase?case={number}&agent={given.face}")
        status = json.loads(client.ask(f"/getCaseStatus?case={number}&agent={given.face}") or "")
        print(case, status["behavior"], flush=True)
    client.ask(f"/updateReports?agent={given.face}")


if __name__ == "__main__":
    main()
