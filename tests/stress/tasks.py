"""Tasks that connect, send, wait, receive, are cancelled, change handlers and close at random; see ``test_stress``.

``python -m tests.stress.tasks URL SECONDS SEED [uvloop]``
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import random
import sys
import time

import uvloop

from sunsocket import ConnectionClosed
from sunsocket.aio import WebSocket
from tests.stress.ledger import Broken, Session
from tests.stress.measure import Holdings, settled
from tests.stress.shared import Shared, counts, fail, failures

TASKS = 24
MOST_LINKS = 16
IN_FLIGHT = 300
GROWTH = 16 << 20
BUSY = 2.5
OPTIONS = {"ping_interval": 0.25, "ping_timeout": 8.0, "close_timeout": 5.0}


class Link(Shared):
    """One connection, shared by all tasks."""

    def __init__(self, ws: WebSocket, seed: int) -> None:
        super().__init__(seed)
        self.taking = asyncio.Lock()
        self.handler: object = None
        self.ws = ws
        ws.OnClose.Connect(self.closed)

    async def send(self, sender: str, rng: random.Random) -> None:
        if self.over or len(self.ledger.outstanding) > IN_FLIGHT:
            return
        message = self.ledger.write(sender, rng)
        try:
            room = self.ws.Send(message)
            counts["sent"] += 1
        except ConnectionClosed:
            self.ledger.unsent(message)
            if not self.over:
                raise
            return
        try:
            await room
        except ConnectionClosed:
            if not self.over:
                raise

    async def toggle_handler(self, *, last: bool = False) -> None:
        async with self.taking:
            if self.over and (self.handler or not last):
                return
            if self.handler is not None:
                self.handler.Disconnect()  # type: ignore[attr-defined]
                self.handler = None
                return
            taker = Session()

            def handler(message: str | bytes) -> None:
                try:
                    self.ledger.took(message, taker)
                except Broken:
                    fail("handler")

            self.handler = self.ws.OnMessage.Connect(handler)
            counts["handlers"] += 1

    async def receive(self, count: int, timeout: float) -> None:
        if self.taking.locked():
            return
        async with self.taking:
            session = Session()
            try:
                for _ in range(count):
                    # asyncio's own time-out cancels what is awaited.
                    async with asyncio.timeout(timeout):
                        if self.handler is not None:
                            self.ledger.saw(await self.ws.OnMessage.Wait(), session)
                            counts["waited"] += 1
                        else:
                            self.ledger.took(await self.ws.recv(), session)
                            counts["received"] += 1
            except TimeoutError:
                counts["time-outs"] += 1
            except ConnectionClosed:
                if not self.over:
                    raise

    async def end(self, *, politely: bool) -> None:
        self.over = True
        if politely:
            await self.toggle_handler(last=True)
            deadline = time.monotonic() + 30
            while self.ledger.outstanding:
                if time.monotonic() > deadline:
                    lost = sorted(self.ledger.outstanding)
                    raise Broken(f"{self.ledger.name}: lost {len(lost)}: {lost[:5]}; {self.ws.state} {self.ws.error!r}")
                await asyncio.sleep(0.005)
        self.closing = True
        self.ws.Close()
        await self.ws.OnClose.Wait(20)
        counts["closed politely" if politely else "closed rudely"] += 1


class Run:
    def __init__(self, url: str, deadline: float) -> None:
        self.url = url
        self.deadline = deadline
        self.links: list[Link] = []

    async def connect(self, rng: random.Random) -> None:
        if rng.random() < 0.2:
            # Given up in the middle: nothing of it may stay.
            try:
                async with asyncio.timeout(rng.random() * 0.004):
                    ws = await WebSocket.connect(self.url, **OPTIONS)  # type: ignore[arg-type]
            except TimeoutError:
                counts["connects given up"] += 1
                return
        else:
            ws = await WebSocket.connect(self.url, **OPTIONS)  # type: ignore[arg-type]
        self.links.append(Link(ws, rng.randrange(1 << 30)))
        counts["connects"] += 1

    async def work(self, name: str, seed: int) -> None:
        rng = random.Random(seed)
        try:
            while time.monotonic() < self.deadline and not failures:
                chance = rng.random()
                link = rng.choice(self.links) if self.links else None
                if link is None or (chance < 0.02 and len(self.links) < MOST_LINKS):
                    await self.connect(rng)
                elif chance < 0.6:
                    for _ in range(rng.choice([1, 1, 2, 10, 40])):
                        await link.send(name, rng)
                elif chance < 0.75:
                    await link.receive(rng.choice([1, 5, 50]), rng.choice([0.0, 0.001, 0.01, 0.05]))
                elif chance < 0.96:
                    await link.toggle_handler()
                elif chance < 0.975:
                    try:
                        await link.ws.ping(timeout=20)
                        counts["pings"] += 1
                    except ConnectionClosed:
                        if not link.over:
                            raise
                elif self.links:
                    gone = self.links.pop(rng.randrange(len(self.links)))
                    await gone.end(politely=rng.random() < 0.7)
                await asyncio.sleep(0)
        except BaseException as error:
            fail(f"{name}: {error!r}")

    async def disturb(self, seed: int, pause: float) -> None:
        """Now and then somebody blocks the loop for many ping intervals."""
        rng = random.Random(seed)
        while time.monotonic() + BUSY < self.deadline and not failures:
            await asyncio.sleep(pause * (0.5 + rng.random()))
            time.sleep(BUSY)
            counts["loop blocked"] += 1


async def run(url: str, seconds: float, seed: int) -> None:
    everything = Run(url, time.monotonic() + seconds)
    await asyncio.gather(
        everything.disturb(seed, seconds / 8),
        *(everything.work(f"t{index}", seed * 1000 + index) for index in range(TASKS)),
    )
    for link in everything.links:
        if not failures:
            await link.end(politely=True)


async def main(url: str, seconds: float, seed: int) -> int:
    await run(url, min(1.5, seconds / 4), seed + 1)
    before = Holdings.now()
    counts.clear()
    await run(url, seconds, seed)
    print(f"tasks: {', '.join(f'{count} {name}' for name, count in sorted(counts.items()))}", flush=True)
    if failures:
        print(f"FAILED with seed {seed}: {failures}")
        return 1
    # Threads that were connecting when they were given up end by themselves; the loop must turn for the sockets to.
    await asyncio.sleep(0.3)
    print(f"tasks: before: {before}; after: {settled(before, GROWTH)}")
    return 0


if __name__ == "__main__":
    faulthandler.dump_traceback_later(float(sys.argv[2]) + 45, exit=True)
    logging.getLogger("sunsocket").setLevel(logging.ERROR)
    factory = uvloop.new_event_loop if "uvloop" in sys.argv else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        sys.exit(runner.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))))
