"""A server that sends a numbered message and a ping four times a second, and drops a client whose pong is late.

It ends when the client sends ``back``: with a last message that says how many there were. ``python -m
tests.stress.impatient`` prints its address and serves one client after the other until its standard input ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from tests.servers.raw import PING, PONG, TEXT, Peer, RawServer

INTERVAL, PATIENCE = 0.25, 2.0


def serve(peer: Peer) -> None:
    peer.accept()
    peer.sock.settimeout(PATIENCE)
    number, back = 0, False
    # A client that is late is dropped: that is all the answer it gets.
    with contextlib.suppress(TimeoutError):
        while not back:
            peer.send(TEXT, b"%d" % number)
            peer.send(PING, b"%d" % number)
            while (received := peer.recv()).opcode != PONG:
                if received.opcode == PING:
                    peer.send(PONG, received.payload)
                else:
                    back = received.payload == b"back"
            assert received.payload == b"%d" % number
            number += 1
            time.sleep(INTERVAL)
        peer.send(TEXT, b"last:%d" % number)
        peer.finish()


if __name__ == "__main__":
    server = RawServer(serve)
    print(server.url, flush=True)
    sys.stdin.read()
    os._exit(0)
