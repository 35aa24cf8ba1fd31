"""The ``WebSocket`` class for threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from . import _core, _hooks, _jar, _mixed_up, _options, _pieces
from ._base import Base, State
from ._errors import ConnectionClosed, ConnectionLost
from ._signal import Signal

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["State", "WebSocket"]


class WebSocket(Base):
    """A WebSocket connection, used from threads. Make one with :meth:`connect`.

    Every method may be called from any thread and from inside handlers. Handlers run on one dispatcher thread.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        # What the engine's class has, with the types of this face.
        def Send(  # type: ignore[override]  # an asynchronous iterable needs a loop
            self,
            message: str | Buffer | Iterable[str | Buffer],
            text: bool | None = None,
            compress: bool | None = None,
        ) -> None: ...

        send = Send

        @property
        def OnMessage(self) -> Signal: ...
        @property
        def on_message(self) -> Signal: ...
        @property
        def OnClose(self) -> Signal: ...
        @property
        def on_close(self) -> Signal: ...
    else:
        send = _core.Socket.Send
        __await__ = __aiter__ = __aenter__ = __aexit__ = _mixed_up.not_in_a_loop

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        daemon: bool = False,
        warn_in_loop: bool = True,
        **options: Unpack[_options.ConnectOptions],
    ) -> Self:
        """Opens a connection; it is open when this returns.

        Args:
            url: A ``ws://`` or ``wss://`` address (RFC 6455 section 3).
            daemon: True lets the program end while this socket is open and has handlers.
            warn_in_loop: False logs no warning where this is called in a running event loop, which it blocks.
            headers: Further header lines of the opening handshake, a mapping or ``(name, value)`` pairs.
            auth: ``(user, password)`` in place of those in ``url``: sent as Basic credentials (RFC 7617) with the first
                request, and as a digest (RFC 7616) where the server asks for one. Or a function, called for each
                connect, that returns such a pair or the whole value of ``Authorization`` (``"Bearer ..."``); or
                "netrc", for what ``~/.netrc`` has for the host.
            cookies: Cookies to send, a mapping of names to values or pairs; ``ws.cookies`` of another connection fits.
                Or an ``http.cookiejar.CookieJar``, which gets what the server sets.
            max_redirects: How many redirects (301, 302, 303, 307, 308) are followed; 0 follows none. Default 5. None
                leads from wss to ws. To another origin (scheme, host or port) go no ``auth``, ``cookies`` and client's
                certificate, and of ``headers`` only ``Accept``, ``Accept-Encoding``, ``Accept-Language``,
                ``Cache-Control``, ``Origin``, ``Pragma`` and ``User-Agent``.
            redirect_headers: Names of further ``headers`` that go to another origin, too, where a redirect leads there.
            subprotocols: Names to offer, best first.
            origin: The ``Origin`` header; none by default.
            user_agent: The ``User-Agent`` header; None sends none. Default ``sunsocket/VERSION``.
            local_address: The IP address of this machine to connect from, or that and a port; None leaves it open.
            proxy: The address of a proxy (``http``, ``https``, ``socks4``, ``socks4a``, ``socks5``, ``socks5h``), None
                for none, or "auto" (the default): what the environment's variables say.
            tls: A :class:`sunsocket.TLS`: certificates and host names of ``wss``.
            compression: "deflate" (the default), a :class:`sunsocket.Deflate`, or None to offer none.
            open_timeout: Seconds for DNS, TCP, TLS and the opening handshake together; None waits for ever. Default 10.
            close_timeout: Seconds in which nothing moves during the closing handshake before TCP is cut. Default 10.
            ping_interval: Seconds of silence after which a ping is sent; None sends none. Default 20.
            ping_timeout: Seconds for the pong, or anything else that moves, before the connection counts as lost; None
                waits for ever. Default 20.
            max_message_size: Bytes of the largest message accepted; None accepts any. Default 64 MiB.
            max_fragment_size: Bytes of the largest frame accepted, as it is on the wire; None (the default) sets none.
            max_held: Messages and bytes that are held while nobody takes them. Default ``(1024, 16 MiB)``.
            write_limit: Unsent bytes above which ``Send`` waits, and down to which it does. Default 1 MiB, 256 KiB.
            resolve: Addresses in place of DNS: ``{"host:port": "address:port"}`` or a function of host and port.

        Raises:
            TypeError, ValueError: An option cannot be used; nothing was sent.
            InvalidURL: ``url`` is not a WebSocket address.
            ConnectError: Its subclasses tell which step failed.
        """
        if warn_in_loop:
            _hooks.look_for_a_loop()
        # The dispatcher's thread-local state and the hooks are made once; the socket owns the connection.
        handle = _core.connect(_options.prepare(url, options), _hooks.hooks, daemon)
        socket = cls.__new__(cls, handle, Signal, None)
        _jar.fill(options.get("cookies"), socket.url, socket.response_headers)
        return socket._opened()

    def wait_closed(self, timeout: float | None = None) -> None:
        """Waits until the connection has closed, as ``OnClose.Wait(timeout)`` does.

        Raises:
            TimeoutError: It has not closed in time.
        """
        self.OnClose.Wait(timeout)

    def recv_streaming(self, timeout: float | None = None) -> Iterator[str | bytes]:
        """The pieces of the next message as they arrive: a large one need not be held whole.

        ``for piece in ws.recv_streaming()``. The limits count as for a whole message. Meanwhile nobody else gets a
        message; leaving the loop early throws the rest of this one away.

        Args:
            timeout: Seconds to wait for each piece; None waits until the connection closes.

        Raises:
            TimeoutError: No piece came in time; the rest of the message is thrown away.
            ConnectionClosed: The connection closed before the message was complete.
            RuntimeError: OnMessage has a handler, or a message is being received in pieces already.
        """
        return _pieces.receive(self, _options.check_timeout(timeout))

    def ping(self, payload: bytes | str = b"", timeout: float | None = None) -> float:
        """Sends a ping and waits for its pong (RFC 6455 section 5.5.2).

        Args:
            payload: At most 125 bytes; empty becomes a unique one.
            timeout: Seconds to wait; None waits until the connection closes.

        Returns:
            The round trip in seconds.

        Raises:
            TimeoutError: No pong came in time. The connection stays open.
            ConnectionClosed: The connection is not open, or closed meanwhile.
        """
        return self._wait_pong(self._send_ping(payload, timeout), timeout)

    def __iter__(self) -> Iterator[str | bytes]:
        """Messages until the connection closes.

        Raises:
            ConnectionClosed: It ended otherwise than by a closing handshake with 1000, 1001 or no code.
        """
        while True:
            try:
                message = self.recv()
            except ConnectionClosed as closed:
                if isinstance(closed, ConnectionLost) or closed.code not in (1000, 1001, 1005):
                    raise
                return
            yield message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes and waits for the closing handshake, which ``close_timeout`` bounds."""
        self.Close()
        # The engine cuts TCP when nothing moves for ``close_timeout``: until then what was sent still leaves.
        self._wait_closed(None)
