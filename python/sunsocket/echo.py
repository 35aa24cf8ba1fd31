"""An echo server for demos and tests: the ``websockets`` library's, over ws or wss.

It needs the extra ``echo``: ``pip install "sunsocket[echo]"``.

>>> from sunsocket import TLS, WebSocket
>>> from sunsocket.echo import EchoServer
>>> with EchoServer(tls=True) as server:
...     with WebSocket.connect(server.url, tls=TLS(ca_data=server.ca_pem)) as ws:
...         ws.Send("Hello")
...         print(ws.recv(timeout=5))
Hello
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import ssl
import threading
from types import TracebackType
from typing import Any, Self

__all__ = ["EchoServer", "main"]

MISSING = 'the echo server needs the libraries of the extra "echo": pip install "sunsocket[echo]"'


class MissingExtra(ImportError):
    """The extra ``echo`` is not installed."""


class EchoServer:
    """Sends every message back. Runs on a thread of its own while the ``with`` block lasts.

    Args:
        tls: Serve wss, with a CA made in memory that signs a certificate for whatever name a client asks for.
        host: The address to listen on.
        port: The port; 0 takes a free one.

    Raises:
        MissingExtra: ``websockets`` or ``trustme`` is not installed.
        OSError: The port is taken.
    """

    def __init__(self, *, tls: bool = False, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            import trustme
            import websockets.asyncio.server
        except ImportError as error:
            raise MissingExtra(f"{MISSING} ({error.name} is missing)") from error
        self._websockets = websockets
        self._ca = trustme.CA() if tls else None
        self._host = host
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sunsocket-echo", daemon=True)

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._host

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Where to connect to. The certificate of a wss server is for ``localhost``."""
        return f"wss://localhost:{self._port}/" if self._ca else f"ws://{self._host}:{self._port}/"

    @property
    def ca_pem(self) -> bytes:
        """The certificate of the CA, in PEM: what a client of a wss server has to trust."""
        if self._ca is None:
            raise ValueError("a ws server has no certificate; use EchoServer(tls=True)")
        pem: bytes = self._ca.cert_pem.bytes()
        return pem

    def __enter__(self) -> Self:
        _look_for_descriptors()
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None, "it has started: __enter__ waited for that"
        assert self._stop is not None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        context = None if self._ca is None else self._context("localhost")
        async with self._websockets.asyncio.server.serve(
            _echo, self._host, self._port, ssl=context, compression=None, max_size=None, ping_interval=None
        ) as server:
            self._port = next(iter(server.sockets)).getsockname()[1]
            self._started.set()
            await self._stop.wait()

    def _context(self, name: str) -> ssl.SSLContext:
        """A server's context for ``name``, which makes one for another name when a client asks for it (SNI)."""
        assert self._ca is not None
        contexts: dict[str, ssl.SSLContext] = {}
        ca = self._ca

        def make(name: str) -> ssl.SSLContext:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert(name, "127.0.0.1", "::1").configure_cert(context)
            contexts[name] = context
            return context

        def choose(connection: Any, asked: str | None, _: ssl.SSLContext) -> int | None:
            if asked is not None:
                try:
                    connection.context = contexts.get(asked) or make(asked)
                except ValueError:
                    # No certificate can be for it: a name with an underscore.
                    return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            return None

        context = make(name)
        context.sni_callback = choose
        return context


def _look_for_descriptors() -> None:
    """Raises OSError when there are too few to start with: a loop that cannot be made complains of that at length."""
    with contextlib.ExitStack() as stack:
        # The loop's three, the listening socket, the file by way of which a certificate is loaded.
        for _ in range(5):
            stack.enter_context(open(os.devnull))


async def _echo(connection: Any) -> None:
    from websockets.exceptions import ConnectionClosed

    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


def main(argv: list[str] | None = None) -> int:
    """``python -m sunsocket.echo``: serves until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m sunsocket.echo", description="A WebSocket echo server.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: a free one)")
    parser.add_argument("--tls", action="store_true", help="serve wss with a CA made for the occasion")
    parser.add_argument("--ca-out", metavar="FILE", help="where to write the CA's certificate (PEM)")
    options = parser.parse_args(argv)
    try:
        with EchoServer(tls=options.tls, host=options.host, port=options.port) as server:
            if options.tls and options.ca_out:
                with open(options.ca_out, "wb") as file:
                    file.write(server.ca_pem)
            print(f"echo server at {server.url} (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
    except (MissingExtra, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        # The one end that serving has.
        pass
    return 130


if __name__ == "__main__":
    raise SystemExit(main())
