"""Compressed messages that become more than they look (RFC 7692): the limit counts what comes out, at every step."""

from __future__ import annotations

import random
import zlib

from tests.attacks.table import attack
from tests.servers.hostile import DEFLATE, MIB, after_opening, bomb, ending, flood, head
from tests.servers.raw import CLOSE, TEXT, close_payload, frame

BOMBS = ("CVE-2018-1000518", "CVE-2026-1526", "CVE-2026-54464")


def compressed(payload, *, fin=True):
    """A binary message's only or first frame."""
    return head((0x80 if fin else 0) | 0x42, len(payload)) + payload


@attack("a frame below the limit that inflates to 512 MiB", *BOMBS, outcome="closed with 1009")
def test_a_bomb_in_one_frame(assault):
    payload = bomb(512 * MIB)
    assert len(payload) < assault.limit, "it is not its own size that is refused"
    outcome = assault(after_opening(compressed(payload), DEFLATE), memory=assault.limit + 4 * MIB)
    outcome.was_closed_with(1009, "max_message_size")


@attack("the same in a thousand fragments", *BOMBS, outcome="closed with 1009 before it ends")
def test_a_bomb_in_fragments(assault):
    payload = bomb(512 * MIB)
    step = len(payload) // 1000

    def fragments(peer):
        peer.accept(DEFLATE)
        peer.sock.sendall(compressed(payload[:step], fin=False))
        for at in range(step, len(payload), step):
            flood(peer, frame(0, payload[at : at + step], fin=False), 1)
        return ending(peer)

    outcome = assault(fragments, memory=assault.limit + 4 * MIB)
    outcome.was_closed_with(1009, "max_message_size")


@attack("a message of exactly the limit, and one of a byte more", *BOMBS, outcome="the first arrives, the second: 1009")
def test_exactly_the_limit(assault):
    limit = assault.limit

    def exactly(peer):
        peer.accept(DEFLATE)
        peer.sock.sendall(compressed(bomb(limit)) + compressed(bomb(limit + 1)))
        return ending(peer)

    # Here the message is wanted: the engine has it, and then the language.
    outcome = assault(exactly, memory=3 * limit + 4 * MIB)
    outcome.was_closed_with(1009, "max_message_size")
    assert [(told["messages"], told["bytes"]) for told in outcome.told] == [(1, limit)]


@attack("a message of millions of empty blocks", outcome="closed with 1009 by the size on the wire")
def test_a_flood_of_empty_blocks(assault):
    empty = b"\x00\x00\x00\xff\xff" * (64 << 10)

    def blocks(peer):
        peer.accept(DEFLATE)
        peer.sock.sendall(compressed(empty, fin=False))
        flood(peer, frame(0, empty, fin=False), 2 * assault.limit)
        return ending(peer)

    outcome = assault(blocks)
    outcome.was_closed_with(1009, "max_message_size")


@attack("a message of blocks that each say to be the last", outcome="closed with 1007")
def test_a_flood_of_last_blocks(assault):
    last = zlib.compressobj(wbits=-15).flush() * (128 << 10)
    outcome = assault(after_opening(compressed(last), DEFLATE), cpu=2)
    outcome.was_closed_with(1007, "DEFLATE")


@attack("messages that are no DEFLATE, or look back before their beginning", outcome="closed with 1007")
def test_broken_streams(assault):
    streams = [b"\x07", b"\xff" * 64, b"\x01\x05\x00\x00\x00", b"\x02\x7e\x7e\x00"]
    outcome = assault(*[after_opening(compressed(stream), DEFLATE) for stream in streams])
    outcome.was_closed_with(1007, "DEFLATE")


@attack(
    "a message that looks back further than the window that was agreed",
    outcome="arrives: the window has room for the largest whatever was agreed",
)
def test_looking_back_beyond_the_window(assault):
    words = random.Random(7).randbytes(400)
    deflate = zlib.compressobj(9, wbits=-15)
    first, filler, again = (
        compressed((deflate.compress(part) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4])
        for part in (words, random.Random(8).randbytes(600), words)
    )
    assert len(again) < 100, "it is nothing but references"
    extra = DEFLATE.replace(b"\r\n", b"; server_max_window_bits=9\r\n")
    outcome = assault(after_opening(first + filler + again + frame(CLOSE), extra))
    assert outcome.seen == [1005]
    assert (outcome.told[0]["messages"], outcome.told[0]["bytes"]) == (3, 1400)


@attack("a frame that is marked as compressed where nothing was agreed", "CVE-2026-59881", outcome="closed with 1002")
def test_compressed_without_an_agreement(assault):
    assault(after_opening(compressed(bomb(100)))).was_closed_with(1002, "reserved bit")


@attack(
    "bombs of just below the limit that nobody takes",
    "CVE-2018-1000518",
    outcome="held up to `max_held`; after ten seconds the oldest are dropped",
)
def test_many_bombs_that_nobody_takes(assault):
    limit = 16 if assault.face == "luau" else 4
    older, newer = compressed(bomb(MIB - 1)), compressed(bomb(MIB - 2))

    def many(peer):
        peer.accept(DEFLATE)
        peer.sock.sendall(older * 200 + newer * (limit + 1))
        peer.send(CLOSE, close_payload(1000))
        return ending(peer)

    outcome = assault(many, mode="hold", memory=3 * limit * MIB + 4 * MIB, max_held=(1024, limit * MIB))
    assert outcome.seen == [1000]
    outcome.has_ended(1000, messages=limit)
    assert outcome.told[0]["bytes"] == limit * (MIB - 2), "they are the newest ones"


@attack(
    "bombs of just below the limit, all in one segment, that a handler takes",
    outcome="all arrive, inflated as they are taken, `max_held` ahead",
)
def test_many_bombs_at_once(assault):
    message = compressed(bomb(MIB - 1))

    def many(peer):
        peer.accept(DEFLATE)
        # There is a handler: without one the oldest would be dropped.
        peer.recv()
        peer.sock.sendall(message * 200)
        peer.send(CLOSE, close_payload(1000))
        return ending(peer)

    # A script's hold is 16 MiB, and what it has let go of is collected later.
    memory = (64 if assault.face == "luau" else 16) * MIB
    outcome = assault(many, mode="ready", memory=memory, max_held=(1024, 4 * MIB))
    assert outcome.seen == [1000]
    assert [(told["messages"], told["bytes"]) for told in outcome.told] == [(200, 200 * (MIB - 1))]


@attack("a text that becomes invalid only when it is inflated", outcome="closed with 1007 before it ends")
def test_invalid_text_inside_a_compressed_message(assault):
    deflate = zlib.compressobj(wbits=-15)
    payload = deflate.compress(b"fine\xff" + b"x" * 1000) + deflate.flush(zlib.Z_SYNC_FLUSH)
    begun = head(0x40 | TEXT, len(payload)) + payload
    assault(after_opening(begun, DEFLATE)).was_closed_with(1007, "UTF-8")
