"""An echo server in a process of its own that injects faults, named by the path that a client asks for.

``/steady``, ``/stall`` (neither reads nor writes for a while), ``/slow`` (reads little at a time), ``/pong`` (answers
pings late), ``/reset`` (TCP is reset), ``/half`` (it stops writing without a Close), ``/mute`` (it stops answering),
``/close`` (it closes properly). The last four end the connection after a random number of messages; ``half`` and
``close`` say how many before that, so that the client knows what it has to have got.

``python -m tests.stress.faults SEED`` prints its address and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import random
import socket
import struct
import sys

from tests.servers.raw import CLOSE, GUID, PING, PONG, close_payload, frame

SURVIVING = ("steady", "stall", "slow", "pong")
ENDING = ("reset", "half", "mute", "close")


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> None:
        self.reader, self.writer, self.random = reader, writer, rng
        self.kind = ""

    async def serve(self) -> None:
        request = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.kind = request.split(" ", 2)[1].removeprefix("/")
        key = next(line for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key.split(":", 1)[1].strip().encode() + GUID).digest()).decode()
        self.writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        last = self.random.randrange(5, 120) if self.kind in ENDING else None
        count = 0
        while True:
            head, payload = await self.read_frame()
            opcode = head & 15
            if opcode == CLOSE:
                self.writer.write(frame(CLOSE, payload))
                return
            if opcode == PING:
                if self.kind == "pong":
                    await asyncio.sleep(self.random.random() * 1.5)
                self.writer.write(frame(PONG, payload))
                continue
            if opcode == PONG:
                continue
            self.writer.write(frame(opcode, payload))
            count += 1
            if self.kind == "stall" and self.random.random() < 0.02:
                await asyncio.sleep(self.random.random() * 3)
            await self.writer.drain()
            if count == last:
                await self.end(count)
                return

    async def read_frame(self) -> tuple[int, bytes]:
        head = await self.reader.readexactly(2)
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4)
        masked = b""
        while len(masked) < length:
            piece = length - len(masked)
            if self.kind == "slow":
                piece = min(piece, 2048)
                await asyncio.sleep(0.002)
            masked += await self.reader.readexactly(piece)
        number = int.from_bytes(masked, "big") ^ int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        return head[0], number.to_bytes(length, "big")

    async def end(self, count: int) -> None:
        sock = self.writer.get_extra_info("socket")
        if self.kind == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
            return
        if self.kind == "mute":
            while await self.reader.read(65536):
                pass
            return
        self.writer.write(frame(1, f"last:{count}".encode()))
        if self.kind == "close":
            self.writer.write(frame(CLOSE, close_payload(1001, "enough")))
        else:
            await self.writer.drain()
            self.writer.write_eof()
        while await self.reader.read(65536):
            pass


async def main(seed: int) -> None:
    rng = random.Random(seed)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Connection(reader, writer, random.Random(rng.random())).serve()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    # Their handlers need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
