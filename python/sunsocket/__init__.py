"""sunsocket: the sUNC ``WebSocket`` class for Python, over a Rust engine.

>>> from sunsocket import WebSocket
>>> with WebSocket.connect("wss://echo.example") as ws:  # doctest: +SKIP
...     ws.Send("Hello")
...     print(ws.recv(timeout=5))
Hello

The same class for asyncio and uvloop is :mod:`sunsocket.aio`; scripts written in Luau are run by
``sunsocket run FILE``.
"""

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
]
