"""Lengths that frames announce (RFC 6455 5.2): memory grows with the bytes that come, never with a number."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.attacks.table import attack
from tests.servers.hostile import MIB, after_opening, ending, head
from tests.servers.raw import BINARY, CLOSE, PING, PONG, TEXT, frame

FIRST = 0x80 | BINARY


def long_form(length, first=FIRST):
    return bytes([first, 127]) + struct.pack("!Q", length)


@attack(
    "frames that announce one byte above the limit up to 2^63-1",
    "CVE-2020-27813",
    "CVE-2026-1528",
    "CVE-2026-54274",
    "CVE-2016-10542",
    outcome="closed with 1009 by the header",
)
def test_announcements_above_the_limit(assault):
    lengths = [assault.limit + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1, (1 << 63) - 1]
    outcome = assault(*[after_opening(long_form(length)) for length in lengths], memory=2 * MIB)
    outcome.was_closed_with(1009, "max_message_size")


@attack(
    "lengths with the highest bit set",
    "CVE-2020-13935",
    "CVE-2026-50161",
    "CVE-2026-1528",
    outcome="closed with 1002",
)
def test_the_highest_bit(assault):
    lengths = [1 << 63, (1 << 63) + 1, (1 << 64) - 2, (1 << 64) - 1]
    outcome = assault(*[after_opening(long_form(length)) for length in lengths], memory=2 * MIB)
    outcome.was_closed_with(1002, "highest bit")


@attack("fragments whose lengths overflow when they are added", "CVE-2020-27813", outcome="closed with 1009")
def test_lengths_that_overflow_together(assault):
    begun = frame(BINARY, b"x" * 100, fin=False)
    lengths = [(1 << 63) - 1, (1 << 63) - 100, (1 << 63) - 101]
    outcome = assault(*[after_opening(begun + long_form(length, 0x80)) for length in lengths], memory=2 * MIB)
    outcome.was_closed_with(1009, "max_message_size")


@attack("any length announced where no limit is set, and one byte sent", outcome="a byte is held, no more")
@pytest.mark.parametrize("assault", ["threads", "asyncio"], indirect=True)
def test_an_announcement_without_a_limit(assault):
    def announced(length):
        def attack(peer):
            peer.accept(send=long_form(length) + b"x" * 40_000)

        return attack

    outcome = assault(*[announced(1 << power) for power in (20, 32, 62)], max_message_size=None, memory=4 * MIB)
    assert [told["closed"] for told in outcome.told] == [1, 1, 1]
    assert [told["kind"] for told in outcome.told] == ["ConnectionLost"] * 3


@attack("a frame that announces exactly the limit, and nothing of it", outcome="nothing is reserved for it")
def test_an_announcement_of_the_limit(assault):
    def announced(peer):
        peer.accept(send=head(FIRST, assault.limit) + b"x" * 40_000)

    outcome = assault(announced, memory=4 * MIB)
    assert [told["closed"] for told in outcome.told] == [1]


@attack("lengths in a longer form than they need", outcome="closed with 1002")
def test_lengths_that_are_not_minimal(assault):
    frames = [bytes([FIRST, 126]) + struct.pack("!H", length) for length in (0, 1, 125)]
    frames += [long_form(length) for length in (0, 125, 126, 65535)]
    assault(*map(after_opening, frames)).was_closed_with(1002, "more bytes than it needs")


@attack("control frames of more than 125 bytes", outcome="closed with 1002 by the second byte")
def test_long_control_frames(assault):
    headers = [bytes([0x80 | opcode, form]) for opcode in (PING, PONG, CLOSE) for form in (126, 127)]
    assault(*map(after_opening, headers)).was_closed_with(1002, "control frame")


@attack("a header that comes byte by byte", outcome="as if it came at once: closed with 1009")
def test_a_dribbled_header(assault):
    def dribbled(peer):
        peer.accept()
        for byte in frame(TEXT, b"fine") + long_form((1 << 63) - 1):
            peer.sock.sendall(bytes([byte]))
        return peer.recv_close().code

    outcome = assault(dribbled)
    outcome.was_closed_with(1009, "max_message_size")
    assert outcome.told[0]["messages"] == 1


@attack(
    "a frame of 200,000 bytes that come one by one",
    "CVE-2026-54274",
    outcome="a byte takes a byte and is looked at once; the message is whole at its end",
)
def test_a_frame_in_tiny_reads(assault):
    def tiny(peer):
        peer.accept(send=head(FIRST, 200_000))
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(200_000):
            peer.sock.send(b"x")
        peer.send(CLOSE)
        return ending(peer)

    outcome = assault(tiny, memory=2 * MIB, cpu=1.5)
    assert outcome.seen == [1005]
    assert [(told["messages"], told["bytes"]) for told in outcome.told] == [(1, 200_000)]
