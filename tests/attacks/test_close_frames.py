"""Close frames (RFC 6455 5.5.1, 7.4): every code that there is, reasons, and what follows a Close."""

from __future__ import annotations

from tests.attacks.table import attack
from tests.servers.hostile import after_opening, ending
from tests.servers.raw import BINARY, CLOSE, PING, TEXT, close_payload, frame

ALLOWED = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
#: Both sides of every boundary, and samples between.
CODES = sorted({
    *range(995, 1020), 0, 1, 124, 999, 1100, 1999, 2000, 2998, 2999, 3000, 3001, 3999, 4000, 4998, 4999, 5000, 5001,
    *range(0, 65536, 1021), 32767, 32768, 65534, 65535,
})  # fmt: skip


@attack("every close code that may not be sent", outcome="closed with 1002")
def test_codes_that_may_not_be_sent(assault):
    codes = [code for code in CODES if code not in ALLOWED]
    assert len(codes) > 60
    outcome = assault(*[after_opening(frame(CLOSE, close_payload(code, "why"))) for code in codes])
    outcome.was_closed_with(1002, "may not be sent")


@attack("every close code that may be sent", outcome="echoed, and told")
def test_codes_that_may_be_sent(assault):
    codes = [code for code in CODES if code in ALLOWED]
    outcome = assault(*[after_opening(frame(CLOSE, close_payload(code, "why"))) for code in codes])
    assert outcome.seen == codes
    assert [told["closed"] for told in outcome.told] == [1] * len(codes)
    if outcome.face != "luau":
        assert [told["code"] for told in outcome.told] == codes


@attack("half a close code", outcome="closed with 1002")
def test_half_a_code(assault):
    frames = [frame(CLOSE, bytes([byte])) for byte in (0, 3, 255)]
    assault(*map(after_opening, frames)).was_closed_with(1002, "half a close code")


@attack("a close reason as long as it may be, and one byte longer", outcome="the first is told, the second: 1002")
def test_the_longest_reason(assault):
    longest = frame(CLOSE, close_payload(1000, "r" * 123))
    outcome = assault(after_opening(longest), after_opening(bytes([0x88, 126, 0, 126]) + bytes(126)))
    assert outcome.seen == [1000, 1002]


@attack("messages, pings and violations after Close", outcome="none of it counts; one answer with the server's code")
def test_data_after_close(assault):
    behind = frame(TEXT, b"late") * 100 + frame(PING, b"late") + b"\xff\xff\xff" + frame(BINARY, b"late")

    def late(peer):
        peer.accept(send=frame(CLOSE, close_payload(4321)) + behind)
        answer = peer.recv()
        return answer.opcode, answer.code, ending(peer)

    outcome = assault(late)
    assert outcome.seen == [(CLOSE, 4321, "end")]
    assert [(told["messages"], told["closed"]) for told in outcome.told] == [(0, 1)]


@attack("messages after our own Close", outcome="`OnMessage` does not fire; the handshake ends as usual")
def test_data_after_our_close(assault):
    def late(peer):
        peer.accept()
        code = peer.recv_close().code
        peer.sock.sendall(frame(TEXT, b"late") * 10_000 + frame(CLOSE, close_payload(code)))
        return code, ending(peer)

    outcome = assault(late, mode="close")
    assert outcome.seen == [(1000, "end")]
    assert [(told["messages"], told["closed"]) for told in outcome.told] == [(0, 1)]


@attack("a Close inside a fragmented message", outcome="echoed; the message never was")
def test_a_close_inside_a_message(assault):
    outcome = assault(after_opening(frame(TEXT, b"begun", fin=False) + frame(CLOSE, close_payload(1001))))
    assert outcome.seen == [1001]
    assert [told["messages"] for told in outcome.told] == [0]
