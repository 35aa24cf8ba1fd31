"""Every frame that RFC 6455 section 5 forbids: the connection is failed at the first byte that shows it."""

from __future__ import annotations

import struct

from tests.attacks.table import attack
from tests.servers.hostile import DEFLATE, after_opening, ending
from tests.servers.raw import BINARY, CLOSE, PING, PONG, TEXT, frame


@attack("reserved bits without an extension", outcome="closed with 1002")
def test_reserved_bits(assault):
    firsts = [0x80 | bits << 4 | opcode for bits in range(1, 8) for opcode in (0, TEXT, BINARY, CLOSE, PING, PONG)]
    assault(*[after_opening(bytes([first])) for first in firsts]).was_closed_with(1002, "reserved bit")


@attack("reserved bits beside permessage-deflate", outcome="closed with 1002")
def test_reserved_bits_beside_deflate(assault):
    # RSV2 and RSV3 anywhere; RSV1 on what begins no message.
    firsts = [0x80 | bits << 4 | opcode for bits in (1, 2, 3, 5, 6, 7) for opcode in (TEXT, BINARY)]
    firsts += [0xC0 | opcode for opcode in (0, CLOSE, PING, PONG)]
    outcome = assault(*[after_opening(bytes([first]), DEFLATE) for first in firsts])
    outcome.was_closed_with(1002, "the server")


@attack("reserved opcodes", outcome="closed with 1002")
def test_reserved_opcodes(assault):
    opcodes = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
    frames = [bytes([fin | opcode]) for opcode in opcodes for fin in (0, 0x80)]
    assault(*map(after_opening, frames)).was_closed_with(1002, "reserved opcode")


@attack("masked frames", outcome="closed with 1002")
def test_masked_frames(assault):
    frames = [bytes([0x80 | opcode, 0x80 | 4]) + bytes(8) for opcode in (TEXT, BINARY, CLOSE, PING, PONG)]
    frames += [bytes([0x82, 0x80 | 126]) + struct.pack("!H", 200), bytes([0x82, 0x80 | 127])]
    assault(*map(after_opening, frames)).was_closed_with(1002, "masked")


@attack("control frames in fragments", outcome="closed with 1002")
def test_fragmented_control_frames(assault):
    frames = [frame(opcode, b"", fin=False) for opcode in (CLOSE, PING, PONG)]
    assault(*map(after_opening, frames)).was_closed_with(1002, "fragmented control frame")


@attack("a continuation of nothing", outcome="closed with 1002")
def test_a_continuation_of_nothing(assault):
    begun = frame(TEXT, b"whole")
    frames = [frame(0, b"x"), frame(0, b"x", fin=False), begun + frame(0, b"x"), frame(PING) + frame(0)]
    frames.append(frame(TEXT, b"a", fin=False) + frame(0, b"b") + frame(0, b"c"))
    assault(*map(after_opening, frames)).was_closed_with(1002, "nothing to continue")


@attack("a message inside another one", outcome="closed with 1002")
def test_a_message_inside_a_message(assault):
    begun = frame(TEXT, b"a", fin=False)
    frames = [begun + frame(opcode, b"b", fin=fin) for opcode in (TEXT, BINARY) for fin in (False, True)]
    frames += [begun + frame(0, b"b", fin=False) + frame(PING) + frame(TEXT, b"c")]
    outcome = assault(*map(after_opening, frames))
    outcome.was_closed_with(1002, "inside another one")
    assert [told["messages"] for told in outcome.told] == [0] * len(frames)


@attack("messages behind the violation", outcome="not one of them is delivered")
def test_messages_behind_a_violation(assault):
    behind = frame(TEXT, b"behind") * 1000 + frame(CLOSE)
    frames = [frame(TEXT, b"before") + b"\xf1\x00" + behind, frame(TEXT, b"before") + b"\x83" + behind]
    outcome = assault(*map(after_opening, frames))
    outcome.was_closed_with(1002, "reserved")
    assert [(told["messages"], told["bytes"]) for told in outcome.told] == [(1, 6)] * 2


@attack("a violation while our own Close is on its way", outcome="TCP ends; no second Close")
def test_a_violation_after_our_close(assault):
    def violated(peer):
        peer.accept()
        first = peer.recv()
        peer.sock.sendall(b"\xf1\x00")
        return first.code, ending(peer)

    outcome = assault(violated, mode="close")
    assert outcome.seen == [(1000, "end")]
    assert [told["closed"] for told in outcome.told] == [1]


@attack("HTTP in place of frames", outcome="closed with 1002")
def test_http_in_place_of_frames(assault):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    # 'H' is 0x48: RSV1 and the opcode of Close, in a fragment.
    assault(after_opening(answer), after_opening(b"<html>")).was_closed_with(1002, "the server")
