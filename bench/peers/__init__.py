"""The clients: which there are, and how each one's process is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["ours", "peer", "limit"]


@dataclass(frozen=True)
class Client:
    """One row of the table."""

    name: str
    #: ``limit``: what is possible at all; it is never the best peer.
    kind: Kind
    #: The module of its process, in this package; for C the name of the program.
    module: str
    #: What the module is asked to be.
    style: str
    #: The environment it runs in: see ``environments.py``.
    environment: str = "main"
    #: Whether it may look before it sleeps (adaptive polling).
    polls: bool = True


CLIENTS = (
    Client("threads", "ours", "sunsocket_threads", "handlers"),
    Client("threads-pull", "ours", "sunsocket_threads", "pull"),
    Client("aio-uvloop", "ours", "sunsocket_aio", "handlers-uvloop"),
    Client("aio-uvloop-pull", "ours", "sunsocket_aio", "pull-uvloop"),
    Client("aio-asyncio", "ours", "sunsocket_aio", "handlers-asyncio"),
    Client("aio-asyncio-pull", "ours", "sunsocket_aio", "pull-asyncio"),
    Client("threads-no-poll", "ours", "sunsocket_threads", "handlers", polls=False),
    Client("threads-pull-no-poll", "ours", "sunsocket_threads", "pull", polls=False),
    Client("aio-uvloop-no-poll", "ours", "sunsocket_aio", "handlers-uvloop", polls=False),
    Client("aio-uvloop-pull-no-poll", "ours", "sunsocket_aio", "pull-uvloop", polls=False),
    Client("luau", "ours", "luau", "handlers"),
    Client("luau-pull", "ours", "luau", "pull"),
    Client("threads-3.12", "ours", "sunsocket_threads", "handlers", "3.12"),
    Client("threads-pull-3.12", "ours", "sunsocket_threads", "pull", "3.12"),
    Client("aio-uvloop-3.12", "ours", "sunsocket_aio", "handlers-uvloop", "3.12"),
    Client("picows", "peer", "picows_uvloop", "handlers"),
    Client("picows-3.12", "peer", "picows_uvloop", "handlers", "3.12"),
    Client("websocket-rs", "peer", "websocket_rs_uvloop", "handlers", "3.12"),
    Client("websocket-rs-pull", "peer", "websocket_rs_uvloop", "pull", "3.12"),
    Client("websocket-rs-sync", "peer", "websocket_rs_threads", "pull", "3.12"),
    Client("websockets", "peer", "websockets_uvloop", "pull"),
    Client("websockets-sync", "peer", "websockets_threads", "pull"),
    Client("websocket-client", "peer", "websocket_client_threads", "pull"),
    Client("aiohttp", "peer", "aiohttp_uvloop", "pull"),
    Client("c-block", "limit", "limit", "block"),
    Client("c-poll", "limit", "limit", "poll"),
)
