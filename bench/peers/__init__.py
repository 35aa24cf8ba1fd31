"""The clients: which there are, and how each one's process is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.workloads import Workload

Kind = Literal["ours", "peer", "limit"]


@dataclass(frozen=True)
class Client:
    """One row of the table."""

    name: str
    #: ``limit``: what is possible at all; it is never the best peer.
    kind: Kind
    #: The module of its process, in this package; for a limit the name of the program.
    module: str
    #: What the module is asked to be.
    style: str
    #: The environment it runs in: see ``environments.py``.
    environment: str = "main"
    #: What it cannot do, or cannot do as it is used here: names in ``Workload.needs``.
    lacks: frozenset[str] = frozenset()
    #: The workloads that it is for; all when empty.
    only: frozenset[str] = frozenset()
    #: Whether it is a client once more under other conditions, and no face of its own.
    again: bool = False
    #: Whether it may look before it sleeps (adaptive polling).
    polls: bool = True
    #: Whether it is for scripts: those are compared with one another.
    script: bool = False
    #: What a program imports to use it.
    imports: str = ""
    #: Whether it is part of ``--quick``.
    quick: bool = False

    def can(self, workload: Workload) -> bool:
        return not self.lacks & workload.needs and (not self.only or workload.name in self.only)


def ours(name: str, module: str, style: str, **more: object) -> Client:
    imports = {"sunsocket_threads": "sunsocket", "sunsocket_aio": "sunsocket.aio"}.get(module, "")
    return Client(name, "ours", module, style, imports=imports, **more)  # type: ignore[arg-type]


def peer(name: str, module: str, style: str, imports: str, *lacks: str, **more: object) -> Client:
    return Client(name, "peer", module, style, imports=imports, lacks=frozenset(lacks), **more)  # type: ignore[arg-type]


#: What a thread does not do that waits for one thing at a time: listen to many connections, open some of them at once.
ONE_AT_A_TIME = frozenset({"many", "parallel"})
#: Where a list of messages can have more than one.
MANY = frozenset({"pipe-256", "tls-pipe-256", "flood-64", "flood-1k", "flood-64k", "tls-flood-64k"})
#: The same client once more is measured only where that says something.
NO_POLL: dict[str, object] = {"again": True, "polls": False, "only": frozenset({"rtt-256", "pipe-256"})}
ON_3_12: dict[str, object] = {
    "again": True,
    "environment": "3.12",
    "only": frozenset({"rtt-256", "pipe-256", "flood-64", "flood-64k", "send-64"}),
}
#: A limit has no memory to speak of, and holds nothing.
HOLDINGS = frozenset({"idle", "rest", "import", "many"})

CLIENTS = (
    ours("threads", "sunsocket_threads", "handlers", quick=True, lacks=frozenset({"parallel"})),
    ours("threads-pull", "sunsocket_threads", "pull", quick=True, lacks=ONE_AT_A_TIME),
    ours("aio-uvloop", "sunsocket_aio", "handlers-uvloop", quick=True),
    ours("aio-uvloop-pull", "sunsocket_aio", "pull-uvloop", quick=True),
    ours("threads-many", "sunsocket_threads", "many", quick=True, only=MANY),
    ours("aio-uvloop-many", "sunsocket_aio", "many-uvloop", quick=True, only=MANY),
    ours("aio-asyncio", "sunsocket_aio", "handlers-asyncio"),
    ours("aio-asyncio-pull", "sunsocket_aio", "pull-asyncio"),
    ours("luau", "scripts", "sunsocket-handlers", script=True, quick=True),
    ours("luau-pull", "scripts", "sunsocket-pull", script=True),
    ours("threads-no-poll", "sunsocket_threads", "handlers", **NO_POLL),
    ours("threads-pull-no-poll", "sunsocket_threads", "pull", **NO_POLL),
    ours("aio-uvloop-no-poll", "sunsocket_aio", "handlers-uvloop", **NO_POLL),
    ours("aio-uvloop-pull-no-poll", "sunsocket_aio", "pull-uvloop", **NO_POLL),
    ours("threads-3.12", "sunsocket_threads", "handlers", **ON_3_12),
    ours("threads-pull-3.12", "sunsocket_threads", "pull", **ON_3_12),
    ours("aio-uvloop-3.12", "sunsocket_aio", "handlers-uvloop", **ON_3_12),
    peer("picows", "picows_uvloop", "handlers", "picows", "deflate", quick=True),
    peer("picows-3.12", "picows_uvloop", "handlers", "picows", **ON_3_12),
    # These drop TCP without waiting for the server's Close.
    peer("websocket-rs", "websocket_rs_uvloop", "handlers", "websocket_rs", "connect", environment="3.12", quick=True),
    peer("websocket-rs-pull", "websocket_rs_uvloop", "pull", "websocket_rs", "connect", environment="3.12"),
    # Its client for threads has no option to trust a certificate either, nor one for compression.
    peer(
        "websocket-rs-sync",
        "websocket_rs_threads",
        "pull",
        "websocket_rs.sync.client",
        "tls",
        "deflate",
        *ONE_AT_A_TIME,
        "connect",
        environment="3.12",
        quick=True,
    ),
    peer(
        "websocket-rs-async",
        "websocket_rs_async",
        "pull",
        "websocket_rs.async_client",
        "tls",
        environment="3.12",
        only=frozenset({"connect", "connect-64"}),
        quick=True,
    ),
    peer("websockets", "websockets_uvloop", "pull", "websockets.asyncio.client", quick=True),
    # It has a thread for each connection: five thousand of them take minutes.
    peer("websockets-sync", "websockets_threads", "pull", "websockets.sync.client", "idle", *ONE_AT_A_TIME),
    peer("websocket-client", "websocket_client_threads", "pull", "websocket", "deflate", *ONE_AT_A_TIME),
    peer("aiohttp", "aiohttp_uvloop", "pull", "aiohttp"),
    peer("node-ws", "scripts", "node-handlers", "", environment="node", script=True, quick=True),
    # Lune trusts the public authorities alone, and its tungstenite has no compression.
    peer("lune", "scripts", "lune-pull", "", "tls", "deflate", environment="lune", script=True, quick=True),
    Client("c-block", "limit", "limit", "block", lacks=HOLDINGS | {"tls", "deflate"}, quick=True),
    Client("c-poll", "limit", "limit", "poll", lacks=HOLDINGS | {"tls", "deflate", "connect"}),
    Client(
        "rust",
        "limit",
        "rust",
        "",
        environment="rust",
        lacks=HOLDINGS,
        quick=True,
        only=frozenset({"tls-rtt-256", "tls-pipe-256", "tls-flood-64k", "tls-connect", "deflate-16k"}),
    ),
)
