"""What both faces of the class share: names, aliases and read-only properties."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Self

from . import _core
from ._deflate import Deflate
from ._errors import Error


class State(enum.Enum):
    """Where a connection stands."""

    CONNECTING = "CONNECTING"
    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


class Base(_core.Socket):
    """One connection. :mod:`sunsocket` has it for threads, :mod:`sunsocket.aio` for a running loop."""

    __slots__ = ("_error",)

    #: What :attr:`error` has told, where the garbage collector sees it. Unset before.
    _error: Error
    close = _core.Socket.Close
    if not TYPE_CHECKING:
        # Each face declares these with the type of its own signals.
        on_message = _core.Socket.OnMessage
        on_close = _core.Socket.OnClose

    def _opened(self) -> Self:
        """Runs what a subclass has as ``__init__``, without arguments, once the connection is open."""
        try:
            self.__init__()  # type: ignore[misc]  # whatever its parameters are, they need defaults
        except BaseException:
            self.Close(1001)
            raise
        return self

    @property
    def error(self) -> Error | None:
        """What ended the connection, the same object each time; None while it is open and after a clean close."""
        try:
            error: Error | None = self._error
        except AttributeError:
            error = self._failure
            if error is not None:
                self._error = error
        return error

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return State(self._state)

    @property
    def compression(self) -> Deflate | None:
        """What was agreed of permessage-deflate (RFC 7692), or None."""
        agreed = self._compression
        return None if agreed is None else Deflate(*agreed)

    @property
    def response_headers(self) -> list[tuple[str, str]]:
        """The header lines of the server's answer to the opening handshake, in their order."""
        return self._response_headers
