"""Threads that connect, send, wait, receive, change handlers and close at random; see ``test_stress``.

``python -m tests.stress.threads URL SECONDS SEED``
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import random
import sys
import threading
import time

from sunsocket import ConnectionClosed, WebSocket
from tests.stress.ledger import Broken, Session
from tests.stress.measure import Holdings, settled
from tests.stress.shared import Shared, counts, fail, failures

THREADS = 8
MOST_LINKS = 16
IN_FLIGHT = 300  # messages of one connection, below what the hold takes: no reading is paused for long
GROWTH = 16 << 20
BUSY = 2.5  # seconds: many ping intervals
OPTIONS = {"ping_interval": 0.25, "ping_timeout": 8.0, "close_timeout": 5.0, "daemon": True}


class Link(Shared):
    """One connection, shared by all threads."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(seed)
        # Whoever changes how messages are taken, or takes them: one thread.
        self.taking = threading.RLock()
        self.handlers: list[object] = []
        self.ws = WebSocket.connect(url, **OPTIONS)
        self.ws.OnClose.Connect(self.closed)

    def send(self, sender: str, rng: random.Random) -> None:
        if self.over or len(self.ledger.outstanding) > IN_FLIGHT:
            return
        message = self.ledger.write(sender, rng)
        try:
            self.ws.Send(message)
            counts["sent"] += 1
        except ConnectionClosed:
            self.ledger.unsent(message)
            if not self.over:
                raise

    def toggle_handler(self, *, last: bool = False) -> None:
        """From receiving to handlers, or back. What a handler runs at that moment it ends."""
        with self.taking:
            if self.over and (self.handlers or not last):
                return
            if self.handlers:
                for connection in self.handlers:
                    connection.Disconnect()  # type: ignore[attr-defined]
                self.handlers.clear()
                return
            taker, watcher = Session(), Session()

            def handler(message: str | bytes) -> None:
                try:
                    self.ledger.took(message, taker)
                    if not str(message).startswith("handler") and self.random.random() < 0.2:
                        self.send("handler", self.random)
                    if self.random.random() < 0.001:
                        time.sleep(0.3)
                except (Broken, ConnectionClosed):
                    fail("handler")

            def watches(message: str | bytes) -> None:
                try:
                    watcher.saw(message)
                except Broken:
                    fail("second handler")

            self.handlers.append(self.ws.OnMessage.Connect(handler))
            if self.random.random() < 0.3:
                self.handlers.append(self.ws.OnMessage.Connect(watches))
            counts["handlers"] += 1

    def receive(self, count: int, timeout: float) -> None:
        """Takes messages, if nobody else does."""
        if not self.taking.acquire(blocking=False):
            return
        try:
            session = Session()
            for _ in range(count):
                if self.handlers:
                    self.ledger.saw(self.ws.OnMessage.Wait(timeout), session)
                    counts["waited"] += 1
                else:
                    self.ledger.took(self.ws.recv(timeout), session)
                    counts["received"] += 1
        except TimeoutError:
            counts["time-outs"] += 1
        except ConnectionClosed:
            if not self.over:
                raise
        finally:
            self.taking.release()

    def end(self, *, politely: bool) -> None:
        """Politely: everything that was sent comes back before the Close."""
        self.over = True
        if politely:
            deadline = time.monotonic() + 30
            self.toggle_handler(last=True)
            while self.ledger.outstanding:
                if time.monotonic() > deadline:
                    lost = sorted(self.ledger.outstanding)
                    raise Broken(f"{self.ledger.name}: lost {len(lost)}: {lost[:5]}; {self.ws.state} {self.ws.error!r}")
                time.sleep(0.005)
        self.closing = True
        self.ws.Close()
        self.ws.Close()
        self.ws.OnClose.Wait(20)
        counts["closed politely" if politely else "closed rudely"] += 1


class Pool:
    def __init__(self, url: str) -> None:
        self.url = url
        self.lock = threading.Lock()
        self.links: list[Link] = []

    def any(self, rng: random.Random) -> Link | None:
        with self.lock:
            return rng.choice(self.links) if self.links else None

    def take_out(self, rng: random.Random) -> Link | None:
        with self.lock:
            return self.links.pop(rng.randrange(len(self.links))) if self.links else None


def work(name: str, pool: Pool, seed: int, deadline: float) -> None:
    rng = random.Random(seed)
    try:
        while time.monotonic() < deadline and not failures:
            chance = rng.random()
            link = pool.any(rng)
            if link is None or (chance < 0.02 and len(pool.links) < MOST_LINKS):
                made = Link(pool.url, rng.randrange(1 << 30))
                with pool.lock:
                    pool.links.append(made)
                counts["connects"] += 1
            elif chance < 0.6:
                for _ in range(rng.choice([1, 1, 2, 10, 40])):
                    link.send(name, rng)
            elif chance < 0.75:
                link.receive(rng.choice([1, 5, 50]), rng.choice([0.0, 0.001, 0.01, 0.05]))
            elif chance < 0.96:
                link.toggle_handler()
            elif chance < 0.975:
                try:
                    link.ws.ping(timeout=20)
                    counts["pings"] += 1
                except ConnectionClosed:
                    if not link.over:
                        raise
            elif (gone := pool.take_out(rng)) is not None:
                gone.end(politely=rng.random() < 0.7)
    except BaseException as error:
        fail(f"{name}: {error!r}")


def disturb(seed: int, deadline: float, pause: float) -> None:
    """Now and then the whole program stops, as an extension in C that holds the GIL stops it."""
    rng = random.Random(seed)
    libc = ctypes.PyDLL(None)
    while time.monotonic() + BUSY < deadline and not failures:
        time.sleep(pause * (0.5 + rng.random()))
        libc.usleep(int(BUSY * 1e6))
        counts["GIL held"] += 1


def run(url: str, seconds: float, seed: int) -> None:
    pool = Pool(url)
    deadline = time.monotonic() + seconds
    threads = [
        threading.Thread(target=work, args=(f"t{index}", pool, seed * 1000 + index, deadline))
        for index in range(THREADS)
    ]
    threads.append(threading.Thread(target=disturb, args=(seed, deadline, seconds / 8)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for link in pool.links:
        if not failures:
            link.end(politely=True)


def main() -> int:
    url, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    # What a hang looks like: the stacks of all threads, and an exit code.
    faulthandler.dump_traceback_later(seconds + 45, exit=True)
    logging.getLogger("sunsocket").setLevel(logging.ERROR)
    # What stays for good (the dispatcher, the guardian, allocated arenas) is there before the counting begins.
    run(url, min(1.5, seconds / 4), seed + 1)
    before = Holdings.now()
    counts.clear()
    run(url, seconds, seed)
    print(f"threads: {', '.join(f'{count} {name}' for name, count in sorted(counts.items()))}", flush=True)
    if failures:
        print(f"FAILED with seed {seed}: {failures}")
        return 1
    print(f"threads: before: {before}; after: {settled(before, GROWTH)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
