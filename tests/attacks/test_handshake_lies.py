"""Answers to the opening handshake that agree to what nobody offered (RFC 6455 4.1, RFC 7692 7.1)."""

from __future__ import annotations

import base64
import re

import pytest

from tests.attacks.table import attack
from tests.servers.hostile import MIB, asked, ending

NAMES = ["chat", "superchat"]


def changed(change):
    """A good answer with a change; what it does to the answer's text."""

    def attack(peer):
        peer.sock.sendall(change(asked(peer).answer()))
        return ending(peer)

    return attack


def with_line(line):
    return changed(lambda answer: answer[:-2] + line.encode("latin-1") + b"\r\n\r\n")


def replaced(old, new):
    def change(answer):
        assert old in answer
        return answer.replace(old, new)

    return changed(change)


@attack("a wrong, missing, doubled or cached `Sec-WebSocket-Accept`", outcome="refused")
def test_a_wrong_accept(assault):
    line = re.compile(rb"Sec-WebSocket-Accept: ([^\r]*)\r\n")
    outcome = assault(
        changed(lambda answer: line.sub(b"", answer)),
        changed(lambda answer: line.sub(b"Sec-WebSocket-Accept: " + base64.b64encode(bytes(20)) + b"\r\n", answer)),
        changed(lambda answer: line.sub(b"Sec-WebSocket-Accept: \r\n", answer)),
        changed(lambda answer: line.sub(lambda found: found[0].swapcase(), answer)),
        changed(lambda answer: line.sub(lambda found: found[0] + found[0], answer)),
        changed(lambda answer: line.sub(lambda found: found[0][:-3] + b"\r\n", answer)),
        changed(lambda answer: line.sub(lambda found: b"Sec-WebSocket-Accept: " + found[1] + b"=\r\n", answer)),
    )
    outcome.was_refused("Sec-WebSocket-Accept")
    assert set(outcome.seen) == {"end"}, "nothing is sent to such a server"


@attack("an upgrade to something else, or none", "CVE-2026-59898", outcome="refused")
def test_a_wrong_upgrade(assault):
    outcome = assault(
        replaced(b"Upgrade: websocket", b"Upgrade: h2c"),
        replaced(b"Upgrade: websocket", b"Upgrade: websocket2"),
        replaced(b"Upgrade: websocket\r\n", b""),
        replaced(b"Connection: Upgrade", b"Connection: close"),
        replaced(b"Connection: Upgrade\r\n", b""),
    )
    outcome.was_refused("header")


@attack("another status, another HTTP", outcome="refused")
def test_a_wrong_status(assault):
    outcome = assault(
        replaced(b"101 Switching Protocols", b"200 OK\r\nContent-Length: 0"),
        replaced(b"101 Switching Protocols", b"204 No Content"),
        replaced(b"HTTP/1.1 101", b"HTTP/1.0 101"),
        replaced(b"HTTP/1.1 101", b"HTTP/2 101"),
        replaced(b"HTTP/1.1 101", b"HTTP/1.1 0101"),
        replaced(b"HTTP/1.1 101", b"HTTP/1.1 10"),
        changed(lambda _: b"ICY 101 OK\r\n\r\n"),
        changed(lambda _: b"\x00\x01\x02\x03\r\n\r\n"),
        changed(lambda _: b"\x15\x03\x03\x00\x02\x02\x46"),
    )
    outcome.was_refused("cannot connect to")


@attack("header lines that are none", "CVE-2019-16869", "CVE-2019-20444", outcome="refused")
def test_broken_header_lines(assault):
    outcome = assault(
        with_line("no colon"),
        with_line(": no name"),
        with_line("X Y: space in the name"),
        with_line("X-A : space before the colon"),
        with_line("X-A: a\0b"),
        with_line("X-\xe9: name"),
    )
    outcome.was_refused("is not HTTP")


@attack(
    "extensions that were not offered, or are not as they were offered",
    "CVE-2026-2229",
    "WS-2017-0421",
    outcome="refused",
)
def test_extension_lies(assault):
    deflate = "permessage-deflate"
    lists = [
        "x-webkit-deflate-frame", "constructor", "__proto__", f"{deflate}; constructor", f"{deflate}, {deflate}",
        f"{deflate}; unknown", f"{deflate}; server_max_window_bits", f"{deflate}; server_max_window_bits=7",
        f"{deflate}; server_max_window_bits=16", f"{deflate}; server_max_window_bits=1000",
        f"{deflate}; server_max_window_bits=99999999999999999999", f"{deflate}; server_max_window_bits=08",
        f"{deflate}; server_max_window_bits=-9", f"{deflate}; server_max_window_bits=+9",
        f"{deflate}; server_max_window_bits=9; server_max_window_bits=9", f"{deflate}; client_max_window_bits",
        f"{deflate}; client_max_window_bits=16", f"{deflate}; server_no_context_takeover=1",
        f"{deflate}; server_no_context_takeover; server_no_context_takeover", f"{deflate};", "; x", deflate + '; x="',
    ]  # fmt: skip
    outcome = assault(*[with_line("Sec-WebSocket-Extensions: " + value) for value in lists])
    outcome.was_refused("Sec-WebSocket-Extensions")


@attack("an extension where none was offered", outcome="refused")
def test_an_extension_that_was_not_offered(assault):
    outcome = assault(with_line("Sec-WebSocket-Extensions: permessage-deflate"), compression=None)
    outcome.was_refused("no extension was offered")


@attack("a subprotocol that was not offered", outcome="refused")
def test_subprotocol_lies(assault):
    outcome = assault(*[with_line("Sec-WebSocket-Protocol: " + name) for name in ("chat", "", "\xe9", "a, b")])
    outcome.was_refused("none was offered")


@attack("another subprotocol than those offered, two of them, or one twice", outcome="refused")
@pytest.mark.parametrize("assault", ["threads", "asyncio"], indirect=True)
def test_subprotocols_that_were_not_offered(assault):
    lines = [
        "other",
        "CHAT",
        "chat, superchat",
        "chat,",
        "chat superchat",
        '"chat"',
        "chat\r\nSec-WebSocket-Protocol: chat",
    ]
    outcome = assault(*[with_line("Sec-WebSocket-Protocol: " + line) for line in lines], subprotocols=NAMES)
    outcome.was_refused("subprotocol")


@attack(
    "header values that make slow parsers slow",
    "CVE-2021-32640",
    "CVE-2020-7662",
    "CVE-2020-7663",
    outcome="refused in milliseconds of CPU time",
)
def test_values_that_take_time(assault):
    values = [
        "Sec-WebSocket-Protocol: b" + " " * 60_000 + "x",
        'Sec-WebSocket-Extensions: a; b="' + "\\c" * 30_000,
        "Sec-WebSocket-Extensions: " + "a;" * 30_000,
        "Sec-WebSocket-Extensions: " + "a," * 30_000,
        "Sec-WebSocket-Extensions: permessage-deflate" + "; a=1" * 12_000,
        "Sec-WebSocket-Extensions: permessage-deflate" + "".join(f"; p{number}" for number in range(7000)),
        "Connection: " + "x, " * 20_000,
    ]
    lines = [with_line(value) for value in values[:-1]]
    lines.append(replaced(b"Connection: Upgrade", values[-1].encode()))
    outcome = assault(*lines, memory=8 * MIB, cpu=0.05 * len(lines))
    outcome.was_refused("cannot connect")
    assert max(map(len, outcome.texts)) < 1000, "an error is no place for 64 KiB of the server's"
