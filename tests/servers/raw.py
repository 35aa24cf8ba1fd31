"""A server that does what a test says, byte by byte, and remembers what its client sent."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A server's frame."""
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        head += bytes([len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([127]) + struct.pack("!Q", len(payload))
    return head + payload


def close_payload(code: int, reason: str = "") -> bytes:
    return struct.pack("!H", code) + reason.encode()


@dataclass
class Frame:
    """A client's frame, unmasked."""

    opcode: int
    payload: bytes
    fin: bool

    @property
    def code(self) -> int:
        """Of a Close frame."""
        return int(struct.unpack("!H", self.payload[:2])[0]) if self.payload else 1005


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.request = b""

    def read(self, count: int) -> bytes:
        while len(self.buffer) < count:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def accept(self, extra: bytes = b"", *, send: bytes = b"") -> None:
        """The opening handshake; ``send`` goes out in the same segment."""
        while b"\r\n\r\n" not in self.buffer:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        self.request, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.sock.sendall(self.answer(extra) + send)

    def accept_nothing(self, answer: bytes) -> None:
        """Reads the request and answers it with these bytes alone."""
        while b"\r\n\r\n" not in self.buffer:
            piece = self.sock.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        self.sock.sendall(answer)

    def answer(self, extra: bytes = b"") -> bytes:
        accept = base64.b64encode(hashlib.sha1(self.header("Sec-WebSocket-Key").encode() + GUID).digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n" + extra + b"\r\n"
        )

    def header(self, name: str) -> str:
        for line in self.request.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return ""

    def send(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> None:
        self.sock.sendall(frame(opcode, payload, fin=fin))

    def recv(self) -> Frame:
        first, second = self.read(2)
        assert second & 0x80, "a client masks every frame"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.read(8))
        mask = self.read(4)
        payload = self.read(length)
        repeated = mask * (length // 4 + 1)
        number = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:length], "big")
        return Frame(first & 15, number.to_bytes(length, "big"), bool(first & 0x80))

    def recv_close(self) -> Frame:
        """The client's Close; what comes before it is dropped."""
        while True:
            received = self.recv()
            if received.opcode == CLOSE:
                return received

    def finish(self) -> None:
        """A proper end: answers the client's Close and drops TCP."""
        received = self.recv_close()
        self.send(CLOSE, received.payload)

    def wait_for_end(self) -> None:
        """Until the client drops TCP."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass


class RawServer:
    """Runs ``script`` with each client, on a thread for each.

    ``receive_buffer`` is what the kernel may hold of what the script has not read, in bytes: little, where a client
    is to find that its bytes do not leave.
    """

    def __init__(
        self,
        script: Callable[[Peer], None],
        *,
        context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        receive_buffer: int | None = None,
    ) -> None:
        self.script = script
        self.context = context
        self.failures: list[BaseException] = []
        self.peers: list[socket.socket] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            # Before it listens: connections inherit it.
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.listener.bind((host, 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        self.threads: list[threading.Thread] = []
        self._listing = threading.Lock()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"{'wss://localhost' if self.context else 'ws://127.0.0.1'}:{self.port}/"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.peers.append(sock)
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            with self._listing:
                # Whoever joins what is listed finds it started, and finds every script that has begun.
                thread.start()
                self.threads.append(thread)

    def _run(self, sock: socket.socket) -> None:
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
                self.peers.append(sock)
            self.script(Peer(sock))
        except (EOFError, OSError):
            pass
        except BaseException as error:
            self.failures.append(error)
        finally:
            sock.close()

    def _listed(self) -> list[threading.Thread]:
        with self._listing:
            return list(self.threads)

    def join(self, timeout: float = 10) -> None:
        """Waits for the scripts to end; raises what one of them raised."""
        for thread in self._listed():
            thread.join(timeout)
            assert not thread.is_alive(), "the server's script has not ended"
        if self.failures:
            raise self.failures[0]

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.peers:
            with contextlib.suppress(OSError):
                # Not the one of an SSLSocket, after which its thread would read TLS as if it were plain.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._listed():
            thread.join(10)
        if self.failures:
            raise self.failures[0]
