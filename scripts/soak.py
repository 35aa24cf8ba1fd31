"""500 sockets against a server that injects faults, for minutes: nothing is lost, nothing grows.

    make soak MINUTES=10

300 sockets belong to asyncio and 200 to threads. Each sends bursts of numbered messages and checks what comes back: of
a connection that survives its faults (stalls, slow reads, late pongs) every message, in order; of one that the server
ends properly or by half every message before the end; of one that is reset or falls silent a prefix, and the end within
``ping_timeout``. Then it connects again. Exits with 1 and says what broke, otherwise prints the figures.

About half of the connections go through toxiproxy, which is built with Go; without Go they do not, and a line at the
end says so. It adds latency, takes bandwidth, slices what passes, delays the end of TCP (all that is survived), ends a
connection in the middle of a frame, and lets storms come and go in which connections are swallowed or cut.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import itertools
import logging
import os
import random
import resource
import statistics
import sys
import threading
import time
import traceback
from collections import Counter, deque

from tests.stress import toxic
from tests.stress.faults import ENDING, SURVIVING
from tests.stress.measure import Holdings, peak_rss, settled
from tests.stress.process import running

from sunsocket import ConnectError, ConnectionClosed, WebSocket
from sunsocket.aio import WebSocket as AioWebSocket

IN_LOOP, IN_THREADS, SENDERS = 300, 200, 10
SIZES = [0, 10, 125, 126, 1000, 4000, 20_000, 70_000]
OPTIONS = {"ping_interval": 2.0, "ping_timeout": 6.0, "close_timeout": 8.0, "compression": None}
#: Resident bytes that the end may have more than the start, and the last quarter on average more than the second one.
GROWTH, SLOPE = 24 << 20, 8 << 20

#: A storm lasts so long, and then it is calm for so long.
STORM, CALM = 1.5, 6.0

#: Addresses by the kind of fault that is met there; filled when the servers are known.
places: dict[str, str] = {}
faults: Counter[str] = Counter()
counts: Counter[str] = Counter()
failures: list[str] = []


def fail(what: str) -> None:
    failures.append(what)
    traceback.print_exc()


class Books:
    """What one connection was sent and has to give back."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.unanswered: deque[str] = deque()
        self.answered = 0
        self.told: int | None = None

    def take(self, message: str | bytes) -> None:
        assert isinstance(message, str)
        if message.startswith("last:"):
            self.told = int(message.removeprefix("last:"))
            return
        expected = self.unanswered.popleft()
        assert message == expected, f"{self.kind}: {message[:30]!r} came, {expected[:30]!r} was next"
        self.answered += 1
        counts["messages"] += 1

    def ended(self, code: int | None) -> None:
        """The connection has closed, and not because of us."""
        assert self.kind in (*ENDING, *toxic.ENDED), (
            f"{self.kind}: the connection was lost with {code} after {self.answered}"
        )
        expected = 1001 if self.kind == "close" else 1006
        assert code == expected, f"{self.kind}: ended with {code}"
        if self.kind in ("close", "half"):
            assert self.told == self.answered, f"{self.kind}: {self.answered} of {self.told} messages came"
        faults[self.kind] += 1


def pick(rng: random.Random) -> str:
    """A kind of fault, to connect to."""
    return rng.choice(list(places))


def may_fail(kind: str, error: ConnectError) -> None:
    """An opening handshake that fails is fine in a storm and nowhere else."""
    if kind not in toxic.STORMS:
        raise error
    counts["refused"] += 1


def burst(rng: random.Random, serial: list[int]) -> list[str]:
    messages = []
    for _ in range(rng.randrange(1, 6)):
        serial[0] += 1
        messages.append(f"{serial[0]}:" + "x" * rng.choice(SIZES))
    return messages


async def in_loop(seed: int, deadline: float) -> None:
    rng, serial, books = random.Random(seed), [0], None
    try:
        await asyncio.sleep(rng.random())
        while time.monotonic() < deadline and not failures:
            books = Books(pick(rng))
            try:
                ws = await AioWebSocket.connect(places[books.kind], open_timeout=30.0, **OPTIONS)  # type: ignore[arg-type]
            except ConnectError as error:
                may_fail(books.kind, error)
                await asyncio.sleep(rng.random())
                continue
            counts["connections"] += 1
            until = min(deadline, time.monotonic() + 5 + rng.random() * 40)
            try:
                while time.monotonic() < until:
                    for message in burst(rng, serial):
                        books.unanswered.append(message)
                        await ws.Send(message)
                    while books.unanswered:
                        books.take(await ws.recv(timeout=30))
                    await asyncio.sleep(rng.random() * 1.6)
            except ConnectionClosed:
                # What came before the end is still to be had.
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        books.take(await ws.recv(timeout=1))
                books.ended(ws.close_code)
                continue
            faults[books.kind] += 1
            ws.Close()
            await ws.OnClose.Wait(30)
    except BaseException as error:
        fail(f"in the loop: {books and books.kind}: {error!r}")


class Threaded:
    """One socket of the thread face: the dispatcher hands its messages to a handler."""

    def __init__(self, rng: random.Random) -> None:
        self.random, self.serial = rng, [0]
        self.closed, self.closing = threading.Event(), False
        self.connect()

    def connect(self) -> None:
        books = self.books = Books(pick(self.random))
        url = places[books.kind]
        try:
            self.ws = ws = WebSocket.connect(url, open_timeout=30.0, daemon=True, **OPTIONS)  # type: ignore[arg-type]
        except ConnectError as error:
            # The next step tries again.
            may_fail(books.kind, error)
            self.closed.set()
            return
        self.closed, self.closing = threading.Event(), False
        self.until = time.monotonic() + 5 + self.random.random() * 40
        self.waiting_since = time.monotonic()
        counts["connections"] += 1
        closed = self.closed

        def handler(message: str | bytes) -> None:
            try:
                books.take(message)
            except Exception as error:
                fail(f"in a handler: {error!r}")

        def ended() -> None:
            try:
                if not self.closing:
                    books.ended(ws.close_code)
            except AssertionError as error:
                fail(f"in a thread: {error}")
            closed.set()

        ws.OnMessage.Connect(handler)
        ws.OnClose.Connect(ended)

    def step(self) -> None:
        """What a sender does for it every now and then."""
        if self.closed.is_set():
            self.connect()
        elif self.closing:
            return
        elif self.books.unanswered:
            waited = time.monotonic() - self.waiting_since
            assert waited < 30, f"{self.books.kind}: {len(self.books.unanswered)} messages lost ({self.ws.state})"
        elif time.monotonic() > self.until:
            faults[self.books.kind] += 1
            self.closing = True
            self.ws.Close()
        elif self.random.random() < 0.5:
            self.waiting_since = time.monotonic()
            try:
                for message in burst(self.random, self.serial):
                    self.books.unanswered.append(message)
                    self.ws.Send(message)
            except ConnectionClosed:
                pass  # `ended` looks at it

    def end(self) -> None:
        if not self.closed.is_set():
            self.closing = True
            self.ws.Close()
            assert self.closed.wait(30), "OnClose did not fire"


def in_threads(seed: int, deadline: float) -> None:
    rng = random.Random(seed)
    try:
        sockets = [Threaded(random.Random(rng.random())) for _ in range(IN_THREADS // SENDERS)]
        while time.monotonic() < deadline and not failures:
            for each in sockets:
                each.step()
            time.sleep(0.4 + rng.random() * 0.8)
        for each in sockets:
            each.end()
    except BaseException as error:
        fail(f"in a thread: {error!r}")


async def weather(proxies: toxic.Proxies | None, deadline: float) -> None:
    """Lets one storm after the other come and go, and leaves none behind."""
    kinds = itertools.cycle(toxic.STORMS)
    while proxies is not None and time.monotonic() + CALM + STORM < deadline and not failures:
        await asyncio.sleep(CALM)
        kind = next(kinds)
        await asyncio.to_thread(proxies.begin, kind)
        await asyncio.sleep(STORM)
        await asyncio.to_thread(proxies.end, kind)


async def soak(proxies: toxic.Proxies | None, seconds: float, seed: int) -> None:
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=in_threads, args=(seed * 1000 + index, deadline)) for index in range(SENDERS)]
    for thread in threads:
        thread.start()
    sockets = (in_loop(seed * 100_000 + index, deadline) for index in range(IN_LOOP))
    await asyncio.gather(weather(proxies, deadline), *sockets)
    for thread in threads:
        await asyncio.to_thread(thread.join)


async def main(proxies: toxic.Proxies | None, seconds: float, seed: int) -> Holdings:
    # What stays for good is there before the counting begins: a first round with everything open.
    await soak(proxies, min(20.0, seconds / 3), seed + 1)
    await asyncio.sleep(1)
    faults.clear()
    counts.clear()
    before = Holdings.now()
    most, resident = 0, []
    soaking = asyncio.ensure_future(soak(proxies, seconds, seed))
    while not soaking.done():
        await asyncio.wait([soaking], timeout=10)
        most = max(most, len(os.listdir("/proc/self/fd")))
        now = Holdings.now()
        resident.append(now.rss)
        print(f"soak: {counts['messages']} messages, {now}", flush=True)
    await soaking
    print(f"soak: the most descriptors were {most}")
    if quarter := len(resident) // 4:
        second, last = (statistics.mean(part) for part in (resident[quarter : 2 * quarter], resident[-quarter:]))
        print(f"soak: {second / 2**20:.1f} MiB on average in the second quarter, {last / 2**20:.1f} in the last")
        if last > second + SLOPE:
            fail(f"memory grows: more than {SLOPE >> 20} MiB from the second quarter to the last")
    await asyncio.sleep(1)
    return before


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Soaks 500 sockets with injected faults.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    options = parser.parse_args()
    # Two descriptors for each socket, and many systems begin with 1024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"soak: {IN_LOOP + IN_THREADS} sockets for {options.minutes:g} minutes, SEED={options.seed}", flush=True)
    faulthandler.dump_traceback_later(options.minutes * 60 + 120, exit=True)
    logging.getLogger("sunsocket").setLevel(logging.ERROR)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(running("faults", str(options.seed)))
        places |= {kind: url + kind for kind in SURVIVING + ENDING}
        proxies, without = None, ""
        try:
            proxies = stack.enter_context(toxic.running(int(url.rstrip("/").rpartition(":")[2])))
            places |= {kind: f"ws://127.0.0.1:{port}/steady" for kind, port in proxies.ports.items()}
        except toxic.CannotBuild as reason:
            without = str(reason)
        before = asyncio.run(main(proxies, options.minutes * 60, options.seed))
        after = None if failures else settled(before, GROWTH)
    print(f"soak: {counts['messages']} messages over {counts['connections']} connections, {options.minutes:g} minutes")
    print(f"soak: connections by fault: {', '.join(f'{name} {faults[name]}' for name in places)}")
    if without:
        print(f"soak: nothing went through toxiproxy: {without}")
    else:
        print(f"soak: {counts['refused']} connections were refused in storms")
    print(f"soak: start: {before}; end: {after}; peak {peak_rss() / 2**20:.1f} MiB")
    if failures:
        print(f"soak: FAILED with SEED={options.seed}: {failures[:5]}")
        sys.exit(1)
