"""sunsocket: the sUNC ``WebSocket`` class for Python, over a Rust engine.

>>> import sunsocket
>>> with sunsocket.connect("wss://echo.example") as ws:  # doctest: +SKIP
...     ws.Send("Hello")
...     print(ws.recv(timeout=5))
Hello

The same class for asyncio and uvloop is :mod:`sunsocket.aio`; scripts written in Luau are run by
``sunsocket run FILE``.
"""

from typing import TYPE_CHECKING

from ._core import __version__
from ._deflate import Deflate
from ._errors import (
    ConnectError,
    ConnectionClosed,
    ConnectionLost,
    ConnectTimeout,
    Error,
    HandshakeError,
    InvalidURL,
    MessageTooBig,
    ProtocolError,
    ProxyError,
    TLSError,
)
from ._signal import Signal, SignalConnection
from ._tls import TLS
from ._websocket import State, WebSocket

__all__ = [
    "TLS",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionClosed",
    "ConnectionLost",
    "Deflate",
    "Error",
    "HandshakeError",
    "InvalidURL",
    "MessageTooBig",
    "ProtocolError",
    "ProxyError",
    "Signal",
    "SignalConnection",
    "State",
    "TLSError",
    "WebSocket",
    "__version__",
    "connect",
]

#: ``WebSocket.connect``, for those who look for it here.
connect = WebSocket.connect


if TYPE_CHECKING:
    from . import aio as aio
else:

    def __getattr__(name: str) -> object:
        """``sunsocket.aio`` is imported when it is named first: a program with threads does without asyncio."""
        if name != "aio":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return import_module(".aio", __name__)

    def __dir__() -> list[str]:
        return [*globals(), "aio"]


del TYPE_CHECKING
