"""Text that is not UTF-8 (RFC 6455 8.1): noticed where it stands, not at the end of the message."""

from __future__ import annotations

from tests.attacks.table import attack
from tests.servers.hostile import after_opening, ending, head
from tests.servers.raw import CLOSE, TEXT, close_payload, frame

INVALID = [
    b"\x80", b"\xbf", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xe2\x28\xa1", b"\xc3\x28",
]  # fmt: skip


@attack("surrogates, overlong forms, stray bytes in one frame", outcome="closed with 1007")
def test_invalid_bytes(assault):
    frames = [frame(TEXT, b"text " + bytes_ + b" text") for bytes_ in INVALID]
    assault(*map(after_opening, frames)).was_closed_with(1007, "UTF-8")


@attack("the same at the start of a frame of which the rest never comes", outcome="closed with 1007 at once")
def test_it_fails_fast_within_a_frame(assault):
    frames = [head(0x80 | TEXT, 60_000) + b"text " + bytes_ for bytes_ in INVALID if bytes_ != b"\xc3\x28"]
    assault(*map(after_opening, frames)).was_closed_with(1007, "UTF-8")


@attack("invalid bytes cut over fragments of a message that never ends", outcome="closed with 1007 at once")
def test_it_fails_fast_within_a_message(assault):
    frames = [
        frame(TEXT, b"text", fin=False) + b"".join(frame(0, bytes([byte]), fin=False) for byte in bytes_)
        for bytes_ in INVALID
    ]
    assault(*map(after_opening, frames)).was_closed_with(1007, "UTF-8")


@attack("a text that ends inside a character", outcome="closed with 1007")
def test_a_cut_character(assault):
    cut = [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"]
    frames = [frame(TEXT, text) for text in cut]
    frames += [frame(TEXT, text, fin=False) + frame(0) for text in cut]
    assault(*map(after_opening, frames)).was_closed_with(1007, "UTF-8")


@attack("a character cut over fragments with pings between", outcome="the text arrives whole")
def test_a_character_over_fragments_is_fine(assault):
    def split(peer):
        text = "h\u00e9\u20ac\U0001f600".encode()
        peer.accept()
        peer.send(TEXT, fin=False)
        for byte in text:
            peer.sock.sendall(frame(9) + frame(0, bytes([byte]), fin=False))
        peer.send(0)
        peer.send(CLOSE)
        return ending(peer)

    outcome = assault(split)
    assert outcome.seen == [1005]
    assert outcome.told[0]["messages"] == 1
    assert outcome.told[0]["bytes"] == (10 if outcome.face == "luau" else 4)


@attack("a close reason that is not UTF-8", outcome="closed with 1007")
def test_invalid_close_reasons(assault):
    frames = [frame(CLOSE, close_payload(1000) + bytes_) for bytes_ in [*INVALID, b"\xe2\x82"]]
    assault(*map(after_opening, frames)).was_closed_with(1007, "close reason")
