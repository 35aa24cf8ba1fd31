"""Floods of control frames (RFC 6455 5.5): what is owed to a server that does not read stays small."""

from __future__ import annotations

import pytest

from tests.attacks.table import attack
from tests.servers.hostile import MIB, after_opening, ending
from tests.servers.raw import CLOSE, PING, PONG, TEXT, close_payload, frame

#: Bytes of pings: far above all buffers of the system between the two.
PINGS = 32 * MIB


@attack(
    "hundreds of thousands of pings from a server that reads no pong",
    "CVE-2026-11586",
    outcome="few answers wait, the newest ping is answered",
)
def test_a_ping_flood_that_is_not_read(assault):
    def flooded(peer):
        peer.accept()
        for at in range(0, PINGS, 64 << 10):
            peer.sock.sendall(b"".join(frame(PING, b"%0120d" % (at + n)) for n in range(512)))
        peer.send(PING, b"the newest")
        answers = 0
        while peer.recv().payload != b"the newest":
            answers += 1
        peer.send(CLOSE, close_payload(1000))
        assert ending(peer) == 1000
        return answers

    outcome = assault(flooded, memory=4 * MIB)
    assert outcome.seen[0] < 100_000, "it is not each ping that was answered"
    assert [told["closed"] for told in outcome.told] == [1]


@attack("pings from a server that reads every pong", outcome="answered as fast as they are read")
def test_a_ping_flood_that_is_read(assault):
    def flooded(peer):
        peer.accept()
        for number in range(3000):
            peer.send(PING, b"%d" % number)
            answer = peer.recv()
            assert (answer.opcode, answer.payload) == (PONG, b"%d" % number)
        peer.send(CLOSE)
        return ending(peer)

    assert assault(flooded, memory=4 * MIB).seen == [1005]


@attack("pongs that nobody asked for, without end", outcome="taken and forgotten")
def test_a_pong_flood(assault):
    def flooded(peer):
        peer.accept()
        for _ in range(64):
            peer.sock.sendall(frame(PONG, b"x" * 125) * 2048)
        peer.send(TEXT, b"still there")
        peer.send(CLOSE)
        return ending(peer)

    outcome = assault(flooded, memory=4 * MIB)
    assert outcome.seen == [1005]
    assert outcome.told[0]["messages"] == 1


@attack("Close after Close after Close", outcome="one answer, and the first code counts")
def test_a_close_flood(assault):
    first = frame(CLOSE, close_payload(4000))
    outcome = assault(after_opening(first + frame(CLOSE, close_payload(4001)) * 100_000), memory=4 * MIB)
    assert outcome.seen == [4000]
    outcome.has_ended(4000)


@attack(
    "a ping's payload that is a number",
    "CVE-2016-10518",
    outcome="`TypeError`: no memory is sent that nobody wrote",
)
def test_a_number_as_a_pings_payload(face, echo):
    async def test():
        ws = await face.connect(echo.url)
        for payload in (1000, 0, [1], None):
            with pytest.raises(TypeError):
                await face.do(ws.ping(payload))
        ws.Close()

    face.run(test)
