"""Answers to the opening handshake that never end or are too much: bounded in time, in bytes and in work."""

from __future__ import annotations

import time

import pytest

from tests.attacks.table import attack
from tests.servers.hostile import MIB, answer_endlessly, asked, ending

#: Those which take a script as long as `open_timeout` is when it cannot be set.
TIMED = pytest.mark.parametrize("assault", ["threads", "asyncio", "luau-slow"], indirect=True)
STATUS = b"HTTP/1.1 101 Switching Protocols\r\n"


def endless(start, piece):
    return lambda peer: answer_endlessly(peer, start, piece)


@attack(
    "a header line without an end",
    "CVE-2023-43669",
    "CVE-2023-38039",
    outcome="refused at 64 KiB",
)
def test_an_endless_header_line(assault):
    outcome = assault(endless(STATUS + b"X-Long: ", b"x" * 1000), memory=2 * MIB, cpu=1)
    outcome.was_refused("more than 65536 bytes")
    assert outcome.seen == ["cut off"]


@attack(
    "header lines without an end",
    "CVE-2026-54465",
    "CVE-2025-67725",
    "CVE-2023-38039",
    outcome="refused at 128 lines",
)
def test_endless_header_lines(assault):
    outcome = assault(endless(STATUS, b"X-A: b\r\n"), memory=2 * MIB, cpu=1)
    outcome.was_refused("more than 128 header lines")


@attack("2,000 different headers", "CVE-2024-37890", outcome="refused at 128 lines")
def test_many_headers(assault):
    lines = b"".join(b"X-%d: x\r\n" % number for number in range(2000))
    assault(lambda peer: asked(peer).sock.sendall(STATUS + lines + b"\r\n")).was_refused("128 header lines")


@attack("64 KiB and 128 lines exactly, and one more of either", outcome="the limits hold exactly")
def test_the_limits_of_a_head(assault):
    def padded(size, lines):
        def attack(peer):
            good = asked(peer).answer()[:-2]
            filler = b"X: y\r\n" * (lines - 4)
            rest = size - len(good) - len(filler) - len(b"P: \r\n\r\n")
            peer.sock.sendall(good + filler + b"P: " + b"p" * rest + b"\r\n\r\n" + b"\x88\x00")
            return ending(peer)

        return attack

    outcome = assault(padded(65536, 128), padded(65537, 128), padded(65536, 129))
    assert outcome.seen[0] == 1005
    assert [told["closed"] for told in outcome.told] == [1, 0, 0]
    assert "65536 bytes" in outcome.texts[1]
    assert "128 header lines" in outcome.texts[2]


@attack("an answer of a byte at a time", "CVE-2023-43669", outcome="`ConnectTimeout` after `open_timeout`")
@TIMED
def test_a_dribbled_answer(assault):
    def dribbled(peer):
        peer.accept_nothing(STATUS)
        try:
            while True:
                peer.sock.sendall(b"x")
                time.sleep(0.005)
        except OSError:
            return "cut off"

    outcome = assault(dribbled, open_timeout=0.5, memory=2 * MIB, cpu=1)
    outcome.was_refused("open_timeout", "ConnectTimeout")
    assert outcome.seen == ["cut off"]


@attack("60 KiB of head in pieces of a byte", "CVE-2023-43669", outcome="read a few times, not 60,000 times")
def test_a_large_head_in_tiny_pieces(assault):
    def tiny(peer):
        peer.accept_nothing(STATUS + b"X-Long: ")
        for _ in range(60_000):
            peer.sock.send(b"x")
        peer.sock.sendall(b"\r\n\r\n")

    outcome = assault(tiny, memory=4 * MIB, cpu=1.5)
    outcome.was_refused("Upgrade")


@attack("no answer at all", outcome="`ConnectTimeout` after `open_timeout`")
@TIMED
def test_no_answer(assault):
    outcome = assault(lambda peer: peer.wait_for_end(), open_timeout=0.3)
    outcome.was_refused("waiting for the answer to the opening handshake", "ConnectTimeout")


@attack("interim answers (1xx) without an end", outcome="refused at 64 KiB of heads")
def test_endless_interim_answers(assault):
    answers = [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n",
        b"HTTP/1.1 199 \r\n\r\n",
    ]
    outcome = assault(*[endless(answer, answer) for answer in answers], memory=2 * MIB, cpu=1)
    outcome.was_refused("a head of more than")


@attack("a refusal with a body without an end", "CVE-2026-22815", outcome="4,096 bytes are kept")
def test_an_endless_body(assault):
    refusal = b"HTTP/1.1 403 Forbidden\r\n"
    outcome = assault(
        endless(refusal + b"\r\n", b"x" * 1000),
        endless(refusal + b"Content-Length: 99999999999999999999999999\r\n\r\n", b"x" * 1000),
        endless(refusal + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        endless(refusal + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: x\r\n"),
        memory=2 * MIB,
        cpu=1,
    )
    outcome.was_refused("403 Forbidden")


@attack("chunks that are nonsense", outcome="refused all the same, with what made sense")
def test_nonsense_chunks(assault):
    head = b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n"
    cases = [
        (b"fffffffffffffffffffffffff\r\nx", b""),
        (b"-1\r\nx\r\n0\r\n\r\n", b""),
        (b"ffffffffffffffff\r\nkept", b"kept"),
        (b"2;x=y\r\nok\r\nzz\r\nnot this", b"ok"),
        (b"\r\n\r\n", b""),
        (b"0x2\r\nno\r\n", b""),
    ]

    def answered(chunks):
        return lambda peer: peer.accept_nothing(head + chunks)

    outcome = assault(*[answered(chunks) for chunks, _ in cases])
    outcome.was_refused("500 Oops")
    if outcome.face != "luau":
        assert [told["body"].encode() for told in outcome.told] == [body for _, body in cases]


@attack("a refusal whose body comes a byte at a time", outcome="told after a second, with what has come")
def test_a_dribbled_body(assault):
    def dribbled(peer):
        peer.accept_nothing(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4000\r\n\r\n")
        begun = time.monotonic()
        try:
            while True:
                peer.sock.sendall(b"x")
                time.sleep(0.01)
        except OSError:
            return time.monotonic() - begun

    outcome = assault(dribbled)
    outcome.was_refused("404 Not Found")
    assert 0.5 < outcome.seen[0] < 5
    if outcome.face != "luau":
        assert set(outcome.told[0]["body"]) == {"x"}
