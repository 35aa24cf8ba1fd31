"""The compiled engine. Programs use :mod:`sunsocket` and :mod:`sunsocket.aio`; names with an underscore are theirs."""

from asyncio import Future
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from os import PathLike
from typing import Any, Self, final

from typing_extensions import Buffer, disjoint_base

__version__: str

@final
class Options:
    """Checked options of one connect."""

    def __new__(
        cls,
        url: str,
        *,
        headers: list[tuple[str, str]],
        auth: tuple[str, str] | None,
        cookies: list[tuple[str, str]],
        max_redirects: int,
        redirect_headers: list[str],
        subprotocols: list[str],
        origin: str | None,
        user_agent: str | None,
        local_address: tuple[str, int] | None,
        proxy: str | None,
        ca_file: str | PathLike[str] | None,
        ca_data: bytes | None,
        cert_file: str | PathLike[str] | None,
        cert_data: bytes | None,
        key_file: str | PathLike[str] | None,
        key_data: bytes | None,
        pins: list[bytes],
        only_tls_1_3: bool,
        server_hostname: str | None,
        verify: bool,
        open_timeout: float | None,
        close_timeout: float,
        ping_interval: float | None,
        ping_timeout: float | None,
        compression: tuple[int, int, int | None, int, bool, bool] | None,
        max_message_size: int | None,
        max_fragment_size: int | None,
        max_held: tuple[int, int],
        write_limit: tuple[int, int],
        resolve: list[tuple[str, int, str, int]]
        | tuple[Asker, Callable[[str, int], list[tuple[str, int]] | None]]
        | None,
    ) -> Self: ...

@final
class Asker:
    """Where the engine's questions to ``resolve`` functions come in."""

    def __new__(cls) -> Self: ...
    def next(self) -> tuple[Callable[[str, int], list[tuple[str, int]] | None], str, int, Answering]:
        """Waits for the next question: the function, host and port, and what takes the answer."""

@final
class Answering:
    """Takes the answer of one call of a ``resolve`` function."""

    def returned(self, addresses: list[tuple[str, int]] | None) -> None:
        """The function has returned addresses with ports, or None for DNS."""

    def raised(self, error: BaseException) -> None:
        """The function has raised."""

@final
class Handle:
    """An open connection on its way into a ``Socket``."""

@disjoint_base
class Pieces:
    """The part of a socket that sends and receives messages in pieces."""

    def _begin_pieces(self, first: str | Buffer, text: bool | None, compress: bool | None) -> bool: ...
    def _send_piece(self, piece: str | Buffer, last: bool) -> Any: ...
    @property
    def _is_sending_pieces(self) -> bool: ...
    def _wait_pieces(self) -> None: ...
    def _add_room(self, future: Future[None]) -> None: ...
    def _begin_stream(self) -> None: ...
    def _take_piece(self) -> tuple[str | bytes, bool] | None: ...
    def _wait_piece(self, timeout: float | None) -> bool: ...
    def _add_piece_waiter(self, future: Future[None]) -> None: ...
    def _end_stream(self, complete: bool) -> None: ...

@disjoint_base
class Socket(Pieces):
    """One connection, behind ``WebSocket`` on both faces."""

    def __new__(cls, handle: Any = None, signal_type: type[Signal] | None = None, ready: Any = None) -> Self: ...
    def Send(
        self,
        message: str | Buffer | Iterable[str | Buffer] | AsyncIterable[str | Buffer],
        text: bool | None = None,
        compress: bool | None = None,
    ) -> Any:
        """Sends one message.

        Args:
            message: A ``str`` is sent as text, bytes-like as binary (RFC 6455 section 5.6). An iterable of either is
                sent as one message in pieces, each as it comes (section 5.4); what others send meanwhile follows it. On
                asyncio it may be an asynchronous iterable, and what is returned has to be awaited. When it raises, the
                connection is closed with 1011, for the message cannot be finished.
            text: True sends bytes that hold UTF-8 as text, False a ``str`` as binary; None goes by the type.
            compress: Whether to compress it, where that was agreed (RFC 7692); None does from 1 KiB on.

        Returns:
            None on the thread face, where it waits while more than the high-water mark is unsent (never inside a
            handler). On asyncio an awaitable, which waits for the same.

        Raises:
            TypeError: The message is none of these.
            ValueError: It is to be text and has no valid UTF-8 form, or it is a buffer of Python objects or pointers.
            ConnectionClosed: The connection is closing or closed.
        """
    def Close(self, code: int = 1000, reason: str = "") -> None:
        """Starts the closing handshake and returns; a second call does nothing (RFC 6455 section 7).

        Messages that were not delivered are discarded, and OnMessage fires no more. Without an answer within
        ``close_timeout`` TCP is cut.

        Args:
            code: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
            reason: At most 123 bytes of UTF-8.

        Raises:
            TypeError: The code is no number, or the reason no ``str``.
            ValueError: The code may not be sent, or the reason is too long.
        """
    def recv(self, timeout: float | None = None) -> str | bytes:
        """The next message; first come, first served. While a handler is connected, a copy of the next that fires.

        On asyncio it returns what is to be awaited.

        Args:
            timeout: Seconds to wait; None waits until the connection closes.

        Raises:
            ValueError: The timeout is negative or no number.
            TimeoutError: No message came in time. Nothing is lost.
            ConnectionClosed: The connection has closed, and every message from before was taken.
        """
    def recv_many(self, limit: int | None = None, timeout: float | None = None) -> list[str | bytes]:
        """The next messages: waits for the first, then gives all that have arrived. First come, first served.

        On asyncio it is awaited. While a handler is connected, a copy of the next message that fires.

        Args:
            limit: The most messages to give, from 1 up; None gives all that are held, 65,536 at the most.
            timeout: Seconds to wait for the first; None waits until the connection closes.

        Returns:
            One message at least, in the order in which they came.

        Raises:
            TypeError: The limit is no whole number.
            ValueError: The limit is below 1, or the timeout negative or no number.
            TimeoutError: No message came in time. Nothing is lost.
            ConnectionClosed: The connection has closed, and every message from before was taken.
        """
    def flush(self) -> None:
        """Writes out what is corked; on the thread face it waits until everything is handed to the system."""
    def abort(self) -> None:
        """Drops TCP at once, without a closing handshake (close code 1006)."""
    @property
    def OnMessage(self) -> Any:
        """Fires with each message: ``str`` for text, ``bytes`` for binary."""
    @property
    def OnClose(self) -> Any:
        """Fires once, without arguments, after the last message."""
    @property
    def url(self) -> str:
        """Where it leads to, after any redirects, with its query; without user name and password."""
    @property
    def redirects(self) -> tuple[str, ...]:
        """The addresses that redirects led away from, in order; empty without any."""
    @property
    def cookies(self) -> dict[str, str]:
        """Names and values of the cookies that the server set in the opening handshake (RFC 6265).

        Those of the answer, and of redirects within the same origin before it, as they came; one that could not be
        sent again, or that was removed with ``Max-Age``, is left out. ``connect(ws.url, cookies=ws.cookies)`` sends
        them. This is no cookie jar: Domain and Expires are not looked at, and of several with one name, for several
        paths, the one for ``ws.url`` is here.
        """
    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose."""
    @property
    def close_code(self) -> int | None:
        """The close code (RFC 6455 section 7.1.5) once it has closed: 1005 without one, 1006 when it was lost."""
    @property
    def close_reason(self) -> str | None:
        """The close reason, once it has closed."""
    @property
    def latency(self) -> float | None:
        """Seconds of the last measured round trip of a ping."""
    @property
    def local_address(self) -> tuple[str, int] | None:
        """Our address and port."""
    @property
    def remote_address(self) -> tuple[str, int] | None:
        """The server's address and port."""
    @property
    def _state(self) -> str: ...
    @property
    def _response_headers(self) -> list[tuple[str, str]]: ...
    @property
    def _failure(self) -> Any: ...
    def _send_ping(self, payload: str | Buffer, timeout: float | None) -> int: ...
    def _wait_pong(self, number: int, timeout: float | None) -> float: ...
    def _wait_closed(self, timeout: float | None) -> bool: ...
    def _take_many(self, limit: int | None) -> list[str | bytes]: ...
    def _queue(self, limit: int | None = None) -> int: ...
    def _collect(self, ticket: int) -> list[str | bytes] | None: ...
    def _look(self, ticket: int) -> None: ...
    def _is_others_turn(self) -> bool: ...
    def _wait_on(self, ticket: int, future: Future[Any]) -> None: ...
    def _settle(self, ticket: int, took: bool) -> None: ...
    def _forget(self, future: Future[Any]) -> None: ...
    def _add_pong(self, number: int, future: Future[float]) -> None: ...
    def _is_full(self) -> bool: ...
    @property
    def _loop_hooks(self) -> Any: ...
    @property
    def _waiting(self) -> int: ...
    @property
    def _compression(self) -> tuple[int, int, int, int, bool, bool] | None: ...
    def __reduce__(self) -> Any: ...

@final
class RoomQueue:
    """Where tasks wait for room."""

    def enter(self, future: Future[None]) -> None:
        """A future that is told of room."""
    def leave(self, future: Future[None]) -> None:
        """The task does not wait any more."""

@disjoint_base
class Signal:
    """``OnMessage`` or ``OnClose``."""

    def __new__(cls, socket: Socket, name: str) -> Self: ...
    def Connect(self, handler: Callable[..., Any]) -> SignalConnection:
        """Calls the handler for each value from the next on. Also a decorator; the name then is the connection's.

        Raises:
            TypeError: The handler cannot be called, or is a coroutine function where handlers run on a thread.
        """
    def Once(self, handler: Callable[..., Any]) -> SignalConnection:
        """Calls the handler for the next value alone. Also a decorator.

        Raises:
            TypeError: As for ``Connect``.
        """
    def Wait(self, timeout: float | None = None) -> Any:
        """Waits for the next value; everybody who waits gets the same.

        Args:
            timeout: Seconds to wait; None waits until the connection closes.

        Returns:
            The message; None for ``OnClose``.

        Raises:
            ValueError: The timeout is negative or no number.
            TimeoutError: Nothing came in time. Nothing is lost.
            ConnectionClosed: The connection closed before a message came.
        """
    @property
    def _loop_hooks(self) -> Any: ...
    def _add_future(self, future: Future[Any]) -> int: ...
    def _settle(self, ticket: int, took: bool) -> None: ...

@final
class SignalConnection:
    """One handler's place in a signal."""

    def Disconnect(self) -> None:
        """Takes the handler off. It does not run any more, not even for a value that is firing."""
    def disconnect(self) -> None:
        """The same."""
    @property
    def Connected(self) -> bool:
        """Whether the handler is still on."""
    @property
    def connected(self) -> bool:
        """The same."""

@final
class Ready:
    """What ``Send`` returns on asyncio when there is room: awaiting it returns at once, or gives the loop its turn."""

    def __new__(cls) -> Self: ...
    def __await__(self) -> Iterator[None]: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> None: ...

@final
class Receiving:
    """What ``recv`` returns on asyncio: a coroutine by its methods."""

    def __await__(self) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any) -> Any:
        """Goes on; ends with StopIteration, which has the message."""
    def throw(self, *args: Any) -> Any:
        """Goes on with an exception."""
    def close(self) -> None:
        """Ends it; nothing that has come is lost."""
    @property
    def __name__(self) -> str: ...
    @property
    def __qualname__(self) -> str: ...

@final
class LoopReactor:
    """The reactor that a foreign loop turns."""

    def __new__(cls) -> Self: ...
    def fileno(self) -> int:
        """The descriptor to watch for reading."""
    def process(self) -> float | None:
        """To be called when the descriptor is readable: reads, runs handlers, writes.

        Returns:
            The seconds for which the loop was away, if the guardian had to stand in; otherwise None.
        """
    def connect(self, options: Options, hooks: Any, future: Future[None]) -> Handle:
        """Starts to connect; ``future`` gets None or the exception. The handle may be used before."""
    def is_forked(self) -> bool:
        """Whether this is the child of a fork, in which nothing happens any more."""
    def end_handler(self, timeout: float) -> None:
        """Ends what a handler runs here on another thread, by an exception, and waits for that ``timeout`` seconds."""
    def open_count(self) -> int:
        """How many connections have a socket."""
    def close_all(self, timeout: float) -> None:
        """Closes everything with 1001, for at the most ``timeout`` seconds."""

def connect(options: Options, hooks: Any, daemon: bool) -> Handle:
    """Connects on the calling thread; messages will be delivered by the dispatcher."""

def keepers() -> list[str]:
    """Where the open sockets with a handler lead to, which keep the program alive."""

def watch_keepers(changed: Callable[[], Any]) -> None:
    """Has ``changed`` called whenever an open socket may have stopped to keep the program alive."""

def shut_down(timeout: float, *, last: bool = False) -> None:
    """Closes what is open with 1001, for at the most ``timeout`` seconds, then joins the dispatcher's thread.

    Args:
        last: Nobody may connect afterwards.
    """

def after_fork_in_child() -> None:
    """The child of a fork: the thread and its reactor stayed in the parent."""

def check_script_options(*, headers: list[tuple[str, str]], ca_data: bytes | None) -> None:
    """Whether a script's connections could have these headers and trust these certificates (PEM).

    Raises:
        ValueError: A header that cannot be sent, or that the handshake writes.
        TLSError: These are no certificates.
    """

def is_cookie(name: str, value: str) -> bool:
    """Whether a cookie of this name and value can be sent."""

def check_proxy(proxy: str) -> None:
    """Whether connections could go through this proxy.

    Raises:
        ValueError: It is not the address of one.
    """

def run_script(
    path: str,
    args: list[bytes],
    *,
    resolve: list[tuple[str, int, str]],
    ca_data: bytes | None,
    server_hostname: str | None,
    verify: bool,
    headers: list[tuple[str, str]],
    compression: tuple[int, int, int | None, int, bool, bool] | None,
    max_redirects: int,
    redirect_headers: list[str],
    proxy: str | None,
    color: bool,
    fps: int,
    exit_on_error: bool,
) -> int:
    """Runs a Luau script to its end and returns the exit status.

    SIGINT, SIGTERM and SIGHUP close its sockets with 1001 and end it with 128 and their number; a second one ends the
    process at once. 141: nobody reads standard output any more; whoever called ends by SIGPIPE.
    """
