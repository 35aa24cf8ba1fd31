"""Masking keys (RFC 6455 5.3, 10.3): what a server can make us send says nothing to a proxy between us."""

from __future__ import annotations

import base64

from tests.attacks.table import attack
from tests.attacks.victim import CHATTER
from tests.servers.hostile import ending
from tests.servers.raw import CLOSE, PING, frame


def keys(peer, count):
    """The masking keys of the client's next frames, all of them short."""
    found = []
    for _ in range(count):
        _, second = peer.read(2)
        assert second & 0x80, "every frame is masked"
        found.append(peer.read(4))
        peer.read(second & 0x7F)
    return found


@attack(
    "a server that wants to know or foresee masking keys",
    "CVE-2025-10148",
    "GHSA-w67g-5rqw-f597",
    outcome="each frame has a key of its own, in no order, different in each connection",
)
def test_masking_keys_cannot_be_foreseen(assault):
    def curious(peer):
        peer.accept()
        peer.send(PING, b"?")
        found = keys(peer, CHATTER + 1)
        peer.send(CLOSE)
        peer.wait_for_end()
        return found

    found = assault(curious, curious, mode="chatter").seen
    together = [key for mine in found for key in mine]
    # 4,000 of 2^32: three equal pairs have a chance below one in a billion.
    assert len(set(together)) > len(together) - 3
    # Each of the four bytes has all its values.
    for place in range(4):
        assert len({key[place] for key in together}) > 240
    ones = sum(int.from_bytes(key, "big").bit_count() for key in together)
    assert abs(ones / (32 * len(together)) - 0.5) < 0.01
    steps = {
        (int.from_bytes(b, "big") - int.from_bytes(a, "big")) % (1 << 32)
        for a, b in zip(found[0], found[0][1:], strict=False)
    }
    assert len(steps) > 1990, "they do not follow from each other by a step"


@attack("a server that wants to foresee the key of the opening handshake", outcome="16 random bytes each time")
def test_the_handshakes_key(assault):
    def curious(peer):
        peer.accept(send=frame(CLOSE))
        ending(peer)
        return peer.header("Sec-WebSocket-Key")

    found = assault(*[curious] * 20).seen
    assert len(set(found)) == 20
    assert {len(base64.b64decode(key, validate=True)) for key in found} == {16}
