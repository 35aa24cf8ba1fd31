"""Streams of frames as a server may send them, and as it may not: made at random, the same ones for the same seed."""

from __future__ import annotations

import random
import struct
import zlib

from tests.servers.hostile import head
from tests.servers.raw import CLOSE, PING, PONG

#: The largest message that the clients accept.
LIMIT = 1000


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
