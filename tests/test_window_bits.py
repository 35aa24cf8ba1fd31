"""The window that a server asks for (RFC 7692 section 7.1.2.2): none of our messages looks back further.

Whether that is so is judged by C zlib. It holds distances to a window only where it has no more than that at hand, so
it is made to give a byte at a time.
"""

from __future__ import annotations

import random
import zlib

import pytest

from sunsocket import Deflate
from tests.servers.raw import BINARY

TAIL = b"\0\0\xff\xff"


class Inflate:
    """Inflates with a window of 2 ** ``bits`` bytes and not one more."""

    def __init__(self, bits):
        self.inflate = zlib.decompressobj(-bits)

    def message(self, data):
        message = bytearray()
        for byte in data + TAIL:
            piece = self.inflate.decompress(bytes([byte]), 1)
            while piece:
                message += piece
                piece = self.inflate.decompress(self.inflate.unconsumed_tail, 1)
        return bytes(message)


def repeating(distances):
    """Random digits, which come again so much later. (Of random bytes a compressor makes stored blocks.)"""
    source = random.Random(1)
    blocks = (bytes(source.choices(b"0123456789abcdef", k=distance)) for distance in distances)
    return b"".join(block + block for block in blocks)


#: Repeats on both sides of every window, but that of 15 bits, which DEFLATE has no distance beyond.
MESSAGE = repeating([100, 240, 250, 251, 257, 300, 400, 500, 513, 700, 1025, 2049, 4097, 8193, 16385, 30000])


def raw(bits, message):
    compressor = zlib.compressobj(wbits=-bits)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


@pytest.mark.parametrize("bits", [8, 9, 10, 11, 12, 13, 14])
def test_the_judge_refuses_a_distance_of_one_byte_more_than_the_window(bits):
    window = 1 << bits
    assert Inflate(bits).message(raw(15, repeating([window]))) == repeating([window])
    with pytest.raises(zlib.error, match="too far back"):
        Inflate(bits).message(raw(15, repeating([window + 1])))


@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("bits", [8, 9, 10, 15])
def test_our_messages_look_back_no_further_than_the_server_asks(face, raw_server, bits, level):
    messages = [MESSAGE, MESSAGE[-200:] + MESSAGE]
    sent = []

    def script(peer):
        peer.accept(f"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits={bits}\r\n".encode())
        sent.extend(peer.recv() for _ in messages)
        peer.finish()

    async def test():
        server = raw_server(script)
        ws = await face.connect(server.url, compression=Deflate(level=level))
        assert ws.compression.client_window_bits == bits
        assert ws.compression.client_context_takeover
        for message in messages:
            await face.do(ws.Send(message))
        ws.Close()
        await face.do(ws.OnClose.Wait(5))
        server.join()

    face.run(test)
    assert [frame.opcode for frame in sent] == [BINARY] * 2
    inflate = Inflate(bits)
    assert [inflate.message(frame.payload) for frame in sent] == messages
    # And it does look back: the second message cannot be read without the first.
    with pytest.raises(zlib.error):
        Inflate(bits).message(sent[1].payload)
