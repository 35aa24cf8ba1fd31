"""Messages in many fragments (RFC 6455 5.4): sizes add up, and a fragment costs nothing of its own."""

from __future__ import annotations

import contextlib

import pytest

from tests.attacks.table import attack
from tests.servers.hostile import DEFLATE, MIB, after_opening, ending, flood, head, reset
from tests.servers.raw import BINARY, CLOSE, TEXT, frame


@attack(
    "fragments below the limit that add up to more",
    "CVE-2026-9675",
    "CVE-2014-0193",
    outcome="closed with 1009 by the header of the first one too many",
)
def test_fragments_that_add_up(assault):
    piece = bytes(assault.limit // 16)

    def fragments(peer):
        peer.accept()
        peer.sock.sendall(frame(BINARY, piece, fin=False) + frame(0, piece, fin=False) * 15)
        # One byte more, of which only the header comes.
        peer.sock.sendall(head(0, 1))
        return ending(peer)

    outcome = assault(fragments, memory=assault.limit + 4 * MIB)
    outcome.was_closed_with(1009, "max_message_size")


@attack(
    "a million empty fragments",
    "CVE-2026-12151",
    "CVE-2026-48779",
    outcome="nothing grows; the message is whole at its end",
)
def test_a_flood_of_empty_fragments(assault):
    def fragments(peer):
        peer.accept()
        peer.send(TEXT, b"begin", fin=False)
        for _ in range(16):
            peer.sock.sendall(frame(0, fin=False) * (64 << 10))
        peer.send(0, b"end")
        peer.send(CLOSE)
        return ending(peer)

    outcome = assault(fragments, memory=4 * MIB)
    assert outcome.seen == [1005]
    assert [(told["messages"], told["bytes"]) for told in outcome.told] == [(1, 8)]


@attack("the same in a compressed message", "CVE-2026-48779", outcome="nothing grows; the message is whole at its end")
def test_a_flood_of_empty_compressed_fragments(assault):
    def fragments(peer):
        peer.accept(DEFLATE)
        peer.sock.sendall(head(0x41, 5) + bytes.fromhex("f248cdc9c9"))
        for _ in range(8):
            peer.sock.sendall(frame(0, fin=False) * (64 << 10))
        peer.send(0, b"\x07\x00")
        peer.send(CLOSE)
        return ending(peer)

    outcome = assault(fragments, memory=4 * MIB)
    assert outcome.seen == [1005]
    assert [(told["messages"], told["bytes"]) for told in outcome.told] == [(1, 5)]


@attack(
    "half a million fragments of one byte that never end",
    "CVE-2026-48779",
    "CVE-2026-62389",
    "CVE-2014-0193",
    outcome="a byte takes a byte",
)
def test_tiny_fragments_without_an_end(assault):
    def fragments(peer):
        peer.accept()
        peer.send(TEXT, b"x", fin=False)
        for _ in range(8):
            peer.sock.sendall(frame(0, b"x", fin=False) * (64 << 10))

    assault(fragments, memory=4 * MIB).has_ended(1006)


@attack(
    "messages whose connection is lost before they end, again and again",
    outcome="what had come of them is freed with the connection, though the program keeps its socket",
)
def test_messages_that_are_lost(assault):
    def lost(peer):
        peer.accept(send=head(0x80 | BINARY, MIB) + bytes(MIB - 1))

    assault(*[lost] * 16, mode="keep", memory=4 * MIB).has_ended(1006)


@attack("a message that never ends", "CVE-2014-0193", outcome="closed with 1009 at the limit")
def test_an_endless_message(assault):
    def endless(peer):
        peer.accept()
        peer.send(TEXT, fin=False)
        flood(peer, frame(0, b"x" * 60_000, fin=False), 4 * assault.limit)
        return ending(peer)

    outcome = assault(endless, memory=assault.limit + 4 * MIB)
    outcome.was_closed_with(1009, "max_message_size")


@attack("control frames between all fragments of a message", outcome="the message is whole, the pings are answered")
def test_control_frames_between_fragments(assault):
    def between(peer):
        peer.accept()
        peer.send(TEXT, b"a", fin=False)
        for _ in range(2000):
            peer.sock.sendall(frame(10, b"unasked") + frame(9, b"?") + frame(0, b"a", fin=False))
        peer.send(0, b"a")
        peer.send(CLOSE)
        answers = 0
        while (received := peer.recv()).opcode != CLOSE:
            assert (received.opcode, received.payload) == (10, b"?")
            answers += 1
        return answers

    outcome = assault(between)
    assert 0 < outcome.seen[0] <= 2000
    assert [(told["messages"], told["bytes"]) for told in outcome.told] == [(1, 2002)]


@attack("a fragment above `max_fragment_size` in a message below the limit", outcome="closed with 1009 by its header")
@pytest.mark.parametrize("assault", ["threads", "asyncio"], indirect=True)
def test_a_fragment_above_its_limit(assault):
    fragments = frame(BINARY, bytes(1000), fin=False) + head(0, 1001)
    assault(after_opening(fragments), max_fragment_size=1000).was_closed_with(1009, "max_fragment_size")


@attack("messages of no bytes without end", outcome="held up to `max_held`, or read no further; nothing grows")
def test_a_flood_of_empty_messages(assault):
    def empty(peer):
        peer.accept()
        for _ in range(4):
            peer.sock.sendall(frame(TEXT) * (64 << 10))
        peer.send(CLOSE)
        return ending(peer)

    outcome = assault(empty, mode="hold", memory=4 * MIB)
    assert outcome.seen == [1005]


@attack(
    "a message of any size, or of bytes in fragments of their own, that `recv_streaming` does not take",
    "CVE-2026-48779",
    outcome="read no further above `max_held`",
)
@pytest.mark.parametrize("assault", ["threads", "asyncio"], indirect=True)
def test_pieces_that_nobody_takes(assault):
    def flooding(piece):
        def attack(peer):
            peer.accept(send=frame(BINARY, b"first", fin=False))
            peer.sock.settimeout(0.3)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 256 * MIB:
                    peer.sock.sendall(piece)
                    sent += len(piece)
            reset(peer.sock)
            assault.friend.goes_on.set()
            return sent

        return attack

    tiny = frame(0, b"x", fin=False) * 30_000
    large = frame(0, bytes(MIB), fin=False)
    outcome = assault(
        flooding(tiny), flooding(large), mode="stream", max_message_size=None, max_held=(1024, 4 * MIB), memory=24 * MIB
    )
    assert all(sent < 128 * MIB for sent in outcome.seen), "the client stopped reading"
