"""The same bytes to our client, over a real socket, and to the sans-I/O layer of ``websockets``: the same events.

Streams of frames are generated and mutated, with and without permessage-deflate. What must agree: the messages, the
pings that are answered, whether the stream is refused, the code of the Close that goes out, the code and reason that
are told. A difference is cut down to the fewest frames that still show it, and printed with its seed.

Known differences, each of them argued; ``argued`` below knows them:

- Broken DEFLATE: we close with 1007, as the message is not consistent with its type (RFC 6455 7.4.1); websockets with
  1002. RFC 7692 names no code.
- A message of no compressed bytes at all: RFC 7692 7.2.3.6 has a byte for the empty message, so we refuse it with 1007;
  websockets takes it as empty.
- Of two violations in one stream the first byte that shows one counts for us; websockets looks at a frame when it is
  whole. So where both refuse, the codes may differ if the stream has more than one thing wrong with it; and we refuse
  a stream that ends inside a frame that is wrong already, where websockets waits for the rest.
- A ping that is followed by a Close or a violation in the same bytes is answered by websockets, by us no more: RFC 6455
  5.5.2 asks for an answer unless a Close was received. Of several pings we answer the newest (5.5.3).
- Of a compressed message websockets counts each frame as it is on the wire too, and takes a message of exactly the
  limit for a larger one when it comes in fragments; and it counts a control frame between fragments as if it were
  one. Messages are made so that this does not matter.
- A block of DEFLATE that says to be the last (RFC 7692 7.2.3.4): we go on behind it; the decoder of websockets gives
  nothing more for the rest of the connection.
- A length in more bytes than it needs is a violation for us (RFC 6455 5.2: the minimal number MUST be used).
- A Close between the fragments of a message is a control frame like others for us (5.4); for websockets a violation.
- Text is validated when a message is joined, which is above the sans-I/O layer of websockets; ``theirs`` does it as its
  connection classes do, and as the bytes arrive, as we do.

Always the same streams, unless the environment names others: ``SEED=7``.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import os
import random
import socket
import struct
import threading
import zlib
from collections.abc import Callable

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

import sunsocket
from tests.servers.hostile import DEFLATE, head
from tests.servers.raw import CLOSE, PING, PONG, Peer

LIMIT = 1000
CASES = 400


@dataclasses.dataclass
class Result:
    """What a client makes of a stream that then ends."""

    messages: list[str | bytes]
    #: The code of the Close that it sent; None: none.
    sent: int | None
    #: The newest ping was answered before that.
    answered: bytes | None
    #: The close code that the program is told, 1006 where there was no closing handshake.
    told: int
    reason: str
    #: The stream ended inside a frame.
    inside: bool = dataclasses.field(default=False, compare=False)


# ---- streams


class Maker:
    """Makes streams out of frames as a server may send them, and as it may not."""

    def __init__(self, seed: int, deflate: bool) -> None:
        self.random = random.Random(seed)
        self.deflate = deflate
        self.compressor = zlib.compressobj(wbits=-15)

    def text(self) -> bytes:
        letters = ["a", "Hello ", "\u00e9", "\u20ac", "\U0001f600", " ", "0"]
        return "".join(self.random.choices(letters, k=self.random.choice([0, 1, 3, 30, 130]))).encode()

    def payload(self, compressed: bool) -> tuple[int, bytes]:
        if self.random.random() < 0.6:
            return 1, self.text()
        sizes = [0, 1, 2, 125, 126, 127, 300] + ([LIMIT + 1] if compressed else [LIMIT - 1, LIMIT, LIMIT + 1])
        size = self.random.choice(sizes)
        return 2, self.random.randbytes(size) if self.random.random() < 0.5 and size < 500 else bytes(size)

    def message(self) -> list[bytes]:
        """Frames of one message, perhaps compressed, perhaps cut, perhaps with control frames between."""
        compressed = self.deflate and self.random.random() < 0.6
        opcode, payload = self.payload(compressed)
        bits = 0
        if compressed:
            payload = self.compressor.compress(payload) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
            payload, bits = payload.removesuffix(b"\0\0\xff\xff"), 0x40
        cuts = sorted(self.random.choices(range(len(payload) + 1), k=self.random.choice([0, 0, 0, 1, 2, 5])))
        pieces = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        frames = []
        for at, piece in enumerate(pieces):
            first = (opcode | bits if at == 0 else 0) | (0x80 if at == len(pieces) - 1 else 0)
            frames.append(head(first, len(piece)) + piece)
            if at < len(pieces) - 1 and sum(map(len, pieces)) < LIMIT - 125 and self.random.random() < 0.3:
                frames.append(self.control())
        return frames

    def control(self) -> bytes:
        payload = self.random.randbytes(self.random.choice([0, 1, 4, 125]))
        return head(0x80 | self.random.choice([PING, PING, PONG]), len(payload)) + payload

    def close(self) -> bytes:
        code = self.random.choice([1000, 1001, 1003, 1011, 3000, 4999, 1005, 1006, 1015, 999, 0, 2000, 5000])
        reasons = [b"", b"bye", "\u20ac".encode(), b"r" * 123, b"\xff", b"\xe2\x82"]
        payload = self.random.choice([b"", b"\x03", struct.pack("!H", code) + self.random.choice(reasons)])
        return head(0x80 | CLOSE, len(payload)) + payload

    def mutated(self, frames: list[bytes]) -> list[bytes]:
        """The stream with something wrong: a bit, a byte, a frame lost, doubled, moved or cut."""
        frames = list(frames)
        for _ in range(self.random.choice([1, 1, 2])):
            at = self.random.randrange(len(frames))
            frame = bytearray(frames[at]) or bytearray(2)
            match self.random.randrange(6):
                case 0:
                    frame[0] ^= 1 << self.random.randrange(8)
                case 1 if len(frame) > 1:
                    frame[1] ^= 0x80 if self.random.random() < 0.3 else 1 << self.random.randrange(7)
                case 2:
                    frame[self.random.randrange(len(frame))] = self.random.randrange(256)
                case 3:
                    frames.insert(self.random.randrange(len(frames)), bytes(frame))
                case 4:
                    del frame[self.random.randrange(len(frame)) :]
                case 5:
                    frames.insert(
                        self.random.randrange(len(frames)), self.random.randbytes(self.random.randrange(1, 9))
                    )
            frames[at] = bytes(frame)
        return [frame for frame in frames if frame] or [b"\x81\x00"]

    def stream(self) -> list[bytes]:
        frames: list[bytes] = []
        for _ in range(self.random.randrange(1, 6)):
            frames += self.message() if self.random.random() < 0.7 else [self.control()]
        if self.random.random() < 0.5:
            frames.append(self.close())
        return self.mutated(frames) if self.random.random() < 0.6 else frames


# ---- the two clients


class Ours:
    """Our client, at the other end of a real socket."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/"

    def run(self, data: bytes, deflate: bool) -> Result:
        messages: list[str | bytes] = []

        def serve() -> None:
            peer = Peer(self.listener.accept()[0])
            peer.accept(DEFLATE if deflate else b"", send=data)
            peer.sock.shutdown(socket.SHUT_WR)
            received: list[tuple[int, bytes]] = []
            with contextlib.suppress(EOFError, OSError):
                while True:
                    frame = peer.recv()
                    received.append((frame.opcode, frame.payload))
            peer.sock.close()
            answers.extend(received)

        answers: list[tuple[int, bytes]] = []
        thread = threading.Thread(target=serve)
        thread.start()
        ws = sunsocket.WebSocket.connect(
            self.url, max_message_size=LIMIT, compression="deflate" if deflate else None, close_timeout=5
        )
        with contextlib.suppress(sunsocket.ConnectionClosed):
            while True:
                messages.append(ws.recv(10))
        thread.join(10)
        pongs = [payload for opcode, payload in answers if opcode == PONG]
        closes = [payload for opcode, payload in answers if opcode == CLOSE]
        assert len(closes) < 2
        sent = None if not closes else struct.unpack("!H", closes[0][:2])[0] if closes[0] else 1005
        return Result(messages, sent, pongs[-1] if pongs else None, ws.close_code or 0, ws.close_reason or "")


def theirs(data: bytes, deflate: bool) -> Result:
    """The protocol of ``websockets``, open, without a socket."""
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"), max_size=LIMIT, state=State.OPEN)
    if deflate:
        protocol.extensions = [PerMessageDeflate(False, False, 15, 15)]
    protocol.receive_data(data)
    protocol.receive_eof()
    messages: list[str | bytes] = []
    parts: list[bytes] = []
    kind, finished = Opcode.TEXT, True
    pong = None
    for event in protocol.events_received():
        frame = event
        assert hasattr(frame, "opcode")
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            kind, parts = frame.opcode, []
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            finished = frame.fin
            parts.append(bytes(frame.data))
            if frame.fin:
                whole = b"".join(parts)
                try:
                    messages.append(whole.decode() if kind is Opcode.TEXT else whole)
                except UnicodeDecodeError:
                    # What its connection classes do where a message is joined.
                    return Result(messages, 1007, pong, 1007, "")
        if frame.opcode is Opcode.PING:
            pong = bytes(frame.data)
    if not finished and kind is Opcode.TEXT and not is_text_so_far(b"".join(parts)):
        return Result(messages, 1007, pong, 1007, "")
    sent = protocol.close_sent
    if sent is None:
        return Result(messages, None, pong, 1006, "", inside="stream ends" in str(protocol.parser_exc))
    received = protocol.close_rcvd
    if received is not None and protocol.parser_exc is None:
        return Result(messages, sent.code, pong, received.code, received.reason)
    return Result(messages, sent.code, pong, sent.code, "")


def is_text_so_far(data: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return True


# ---- comparing


REFUSALS = (1002, 1007, 1009)


def oddities(data: bytes) -> tuple[bool, bool]:
    """Of the frames up to the first Close: one has a longer length than it needs; the Close is inside a message."""
    at, inside = 0, False
    while at + 2 <= len(data):
        first, second = data[at], data[at + 1] & 0x7F
        size, least = {126: (2, 126), 127: (8, 1 << 16)}.get(second, (0, 0))
        length = int.from_bytes(data[at + 2 : at + 2 + size], "big") if size else second
        if at + 2 + size <= len(data) and length < least:
            return True, False
        if first & 15 == CLOSE:
            return False, inside
        if first & 15 < 3:
            inside = not first & 0x80
        at += 2 + size + length
    return False, False


def has_a_last_block(data: bytes) -> bool:
    """Whether a compressed message of the stream has a block that says to be the last."""
    at, compressed, payload = 0, False, b""
    decompressor = zlib.decompressobj(wbits=-15)
    while at + 2 <= len(data):
        first, second = data[at], data[at + 1] & 0x7F
        size = {126: 2, 127: 8}.get(second, 0)
        length = int.from_bytes(data[at + 2 : at + 2 + size], "big") if size else second
        if first & 15 < 3:
            compressed = bool(first & 0x40) if first & 15 else compressed
            payload += data[at + 2 + size : at + 2 + size + length]
            if first & 0x80:
                if compressed:
                    try:
                        decompressor.decompress(payload + b"\0\0\xff\xff")
                    except zlib.error:
                        return False
                    if decompressor.eof:
                        return True
                payload = b""
        at += 2 + size + length
    return False


def argued(ours: Result, others: Result, frames: list[bytes], deflate: bool) -> bool:
    """Whether a difference is one that the head of this file argues for."""
    long_length, close_inside = oddities(b"".join(frames))
    if long_length and ours.sent == 1002:
        return True
    if deflate and has_a_last_block(b"".join(frames)):
        return True
    if close_inside and others.sent in (1002, 1009) and ours.messages == others.messages:
        return True
    if ours.sent in REFUSALS:
        # Both refuse, for one of several reasons; or the stream ends inside what only we know to be wrong already; or
        # it is a compressed message of nothing.
        compressed = deflate and any(frame[0] & 0x40 for frame in frames)
        return others.sent in REFUSALS or (others.sent is None and others.inside) or (compressed and ours.sent == 1007)
    return False


def differs(client: Ours, frames: list[bytes], deflate: bool) -> tuple[Result, Result] | None:
    data = b"".join(frames)
    ours, others = client.run(data, deflate), theirs(data, deflate)
    if ours.sent is not None and ours.answered is None:
        others.answered = None
    same = ours == others
    common = min(len(ours.messages), len(others.messages))
    agree = ours.messages[:common] == others.messages[:common] or (deflate and has_a_last_block(data))
    return None if same or (agree and argued(ours, others, frames, deflate)) else (ours, others)


def shrunk(fails: Callable[[list[bytes]], bool], frames: list[bytes]) -> list[bytes]:
    """The fewest frames, then the shortest, that still fail."""
    at = 0
    while at < len(frames):
        without = frames[:at] + frames[at + 1 :]
        if without and fails(without):
            frames = without
        else:
            at += 1
    return frames


@pytest.fixture
def client():
    client = Ours()
    yield client
    client.listener.close()


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
def test_the_same_bytes_give_the_same_events(client, deflate):
    seed = int(os.environ.get("SEED", "1"))
    print(f"SEED={seed}")
    agreed = {"messages": 0, "refused": 0}
    for case in range(CASES):
        frames = Maker(seed + case, deflate).stream()
        found = differs(client, frames, deflate)
        if found is not None:
            frames = shrunk(lambda frames: differs(client, frames, deflate) is not None, frames)
            ours, others = differs(client, frames, deflate) or found
            shown = "\n".join(frame.hex() for frame in frames)
            pytest.fail(f"SEED={seed + case} shows a difference:\n{shown}\nours:   {ours}\ntheirs: {others}")
        result = theirs(b"".join(frames), deflate)
        agreed["messages"] += len(result.messages)
        agreed["refused"] += result.sent in (1002, 1007, 1009)
    print(agreed)
    # The streams are worth comparing: there are messages in them, and things that are wrong.
    assert agreed["messages"] > CASES / 2
    assert agreed["refused"] > CASES / 20
