"""Everything that sunsocket raises.

::

    Error
    ├── ConnectError (also a ConnectionError)
    │   ├── InvalidURL (also a ValueError)
    │   ├── HandshakeError      status, headers, body
    │   ├── ProxyError          status
    │   ├── TLSError
    │   └── ConnectTimeout (also a TimeoutError)
    ├── ConnectionClosed (also a ConnectionError)      code, reason, by_peer
    │   └── ConnectionLost
    ├── ProtocolError
    └── MessageTooBig

``ConnectionLost``, ``ProtocolError`` and ``MessageTooBig`` are what :attr:`WebSocket.error` tells of a connection
that did not end with a closing handshake; they are the cause (``__cause__``) of the ``ConnectionLost`` that a
method raises afterwards. After a closing handshake it raises ``ConnectionClosed``. Each text says what was tried, what
happened and what to try next.
"""

from __future__ import annotations

from collections.abc import Sequence


class Error(Exception):
    """The root of all errors of sunsocket."""


class ConnectError(Error, ConnectionError):
    """The connection could not be opened: the name is unknown, or nothing answers there."""


class InvalidURL(ConnectError, ValueError):
    """The address is not a ``ws://`` or ``wss://`` URL (RFC 6455 section 3)."""


class HandshakeError(ConnectError):
    """The opening handshake was answered by something else than a WebSocket (RFC 6455 section 4.1).

    Attributes:
        status: The HTTP status code, None when the answer was no HTTP.
        headers: The answer's header lines, ``(name, value)`` in their order.
        body: The start of the answer's body, 4 096 bytes at the most.
    """

    def __init__(
        self,
        text: str,
        status: int | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(text)
        self.status = status
        self.headers = list(headers)
        self.body = body


class ProxyError(ConnectError):
    """A proxy could not be reached, or opened no tunnel to the server.

    Attributes:
        status: The HTTP status code that an HTTP proxy answered with; otherwise None.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class TLSError(ConnectError):
    """A certificate was not accepted, or the TLS handshake failed."""


class ConnectTimeout(ConnectError, TimeoutError):
    """``open_timeout`` was over before the connection was open."""


class ConnectionClosed(Error, ConnectionError):
    """The connection is closing or closed.

    Attributes:
        code: The close code (RFC 6455 section 7.4); 1005 for a Close without one, 1006 for a lost connection.
        reason: The close reason.
        by_peer: Whether the server began the closing handshake; None while that is not known.
    """

    def __init__(self, text: str, code: int = 1006, reason: str = "", by_peer: bool | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason
        self.by_peer = by_peer


class ConnectionLost(ConnectionClosed):
    """The connection ended without a closing handshake: a reset, an unexpected end, no answer, ``abort``, a violation.

    Attributes:
        code: 1006, or what the connection was failed with: 1002, 1007 or 1009.
    """


class ProtocolError(Error):
    """The server broke RFC 6455 or RFC 7692; the connection was failed with 1002 or 1007."""


class MessageTooBig(Error):
    """A message was larger than ``max_message_size``, or a frame than ``max_fragment_size``; failed with 1009."""
