"""TLS that hangs, lies, breaks or ends too early: never a hang, never plain text, never a clean end that was none."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.attacks.table import attack
from tests.servers.hostile import MIB, answer_endlessly, ending, flood, seconds_until_dropped
from tests.servers.raw import CLOSE, TEXT, close_payload, frame

URL = "wss://localhost:{port}/"
#: Those which take a script as long as the time-outs are when they cannot be set.
TIMED = pytest.mark.parametrize("assault", ["threads", "asyncio", "luau-slow"], indirect=True)


def plain(sock):
    """The socket below TLS: what is written there breaks the TLS stream."""
    return socket.socket(fileno=sock.detach())


@pytest.fixture
def secure(assault, certificates, server_context):
    """Attacks inside TLS that is as it should be."""

    def attack(*attacks, **options):
        return assault(*attacks, context=server_context, ca_file=str(certificates.ca_file), **options)

    return attack


@attack("TCP that ends without close_notify (truncation)", outcome="1006: no clean end, however much had come")
def test_truncated_tls(secure):
    def truncated(peer):
        peer.accept(send=frame(TEXT, b"first") + frame(TEXT, b"second", fin=False))
        plain(peer.sock).close()

    outcome = secure(truncated)
    outcome.has_ended(1006, messages=1)
    assert outcome.told[0]["kind"] == ("" if outcome.face == "luau" else "ConnectionLost")


@attack("close_notify in the middle of a message", outcome="1006")
def test_close_notify_inside_a_message(secure):
    def notified(peer):
        peer.accept(send=frame(TEXT, b"begun", fin=False))
        peer.sock.unwrap()

    secure(notified).has_ended(1006)


@attack("garbage in place of a record in an open connection", outcome="1006; nothing of it is delivered")
def test_garbage_records(secure):
    def garbage(data):
        def attack(peer):
            peer.accept(send=frame(TEXT, b"fine"))
            with plain(peer.sock) as peer.sock:
                peer.sock.sendall(data)
                peer.wait_for_end()
            return "cut off"

        return attack

    records = [
        b"\x17\x03\x03\x00\x20" + bytes(32),
        b"\x17\x03\x03\xff\xff" + bytes(65535),
        b"\x99" * 100,
        frame(TEXT, b"plain text"),
        b"\x16\x03\x03\x00\x04\x01\x00\x00\x00",
    ]
    outcome = secure(*map(garbage, records))
    assert outcome.seen == ["cut off"] * len(records)
    outcome.has_ended(1006, messages=1)


@attack("a server that says nothing in the TLS handshake", outcome="`ConnectTimeout` after `open_timeout`")
@TIMED
def test_tls_that_hangs(assault):
    outcome = assault(lambda peer: peer.wait_for_end(), url=URL, open_timeout=0.3)
    outcome.was_refused("setting up TLS", "ConnectTimeout")


@attack("a TLS handshake whose records never end, or are garbage", outcome="`TLSError`, bounded")
def test_a_tls_handshake_that_is_garbage(assault):
    def answered(data, *, most=0):
        def attack(peer):
            peer.sock.recv(65536)
            try:
                peer.sock.sendall(data)
                flood(peer, data, most)
                peer.wait_for_end()
            except OSError:
                pass
            return "cut off"

        return attack

    hello = b"\x02\xff\xff\xff"  # A ServerHello of 16 MiB.
    outcome = assault(
        answered(b"\x00" * 100),
        answered(b"SSH-2.0-OpenSSH_9\r\n"),
        answered(b"\x16\x03\x03\xff\xff" + bytes(65535)),
        answered(b"\x16\x03\x03" + struct.pack("!H", 16004) + hello + bytes(16000), most=32 * MIB),
        answered(b"\x15\x03\x03\x00\x02\x02\x28"),
        answered(b"\x17\x03\x03\x00\x10" + bytes(16), most=32 * MIB),
        url=URL,
        memory=4 * MIB,
    )
    outcome.was_refused("cannot connect to wss://localhost", "TLSError")
    assert outcome.seen == ["cut off"] * 6


@attack("warnings (alerts) without end in the TLS handshake", outcome="`TLSError`, bounded")
def test_endless_alerts(assault):
    def alerts(peer):
        peer.sock.recv(65536)
        try:
            flood(peer, b"\x15\x03\x03\x00\x02\x01\x5a" * 100, 32 * MIB)
            peer.wait_for_end()
        except OSError:
            pass
        return "cut off"

    assault(alerts, url=URL, memory=4 * MIB, cpu=2).was_refused("wss://localhost", "TLSError")


@attack("a plain WebSocket server where TLS was asked for", outcome="`TLSError`: no downgrade")
def test_plain_text_in_place_of_tls(assault):
    def downgraded(peer):
        peer.sock.recv(65536)
        peer.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frame(TEXT, b"psst"))
        peer.wait_for_end()
        return "cut off"

    outcome = assault(downgraded, url=URL)
    outcome.was_refused("use ws:// in place of wss://", "TLSError")


@attack(
    "a certificate for another host, of a stranger, expired",
    "CVE-2020-11050",
    "CVE-2020-15133",
    outcome="`TLSError` before the request is sent",
)
@pytest.mark.parametrize("certificate", ["wrong_name", "stranger", "expired", "self_signed"])
def test_certificates_that_are_not_the_servers(assault, certificates, server_context, certificate):
    server_context.load_cert_chain(getattr(certificates, certificate))
    requests = []
    outcome = assault(
        requests.append,
        context=server_context,
        ca_file=str(certificates.ca_file),
        timeout=0.5,
    )
    outcome.was_refused("cannot connect to wss://localhost", "TLSError")
    assert requests == []


@attack("floods inside TLS: an endless head, an endless message", outcome="as without TLS")
def test_floods_inside_tls(secure, assault):
    def message(peer):
        peer.accept()
        flood(peer, frame(TEXT, b"x" * 16_000, fin=False), 16_000)
        flood(peer, frame(0, b"x" * 16_000, fin=False), 4 * assault.limit)
        return ending(peer)

    def head(peer):
        return answer_endlessly(peer, b"HTTP/1.1 101 x\r\nX-Long: ", b"x" * 1000)

    outcome = secure(message, head, memory=assault.limit + 4 * MIB)
    assert outcome.seen == [1009, "cut off"]
    assert "65536 bytes" in outcome.texts[1]


@attack("Close inside TLS, and TCP that is kept", outcome="dropped after `close_timeout`")
@TIMED
def test_close_and_then_silence(secure):
    def silent(peer):
        peer.accept(send=frame(CLOSE, close_payload(1000)))
        return peer.recv_close().code, seconds_until_dropped(peer)

    outcome = secure(silent, close_timeout=0.2)
    outcome.has_ended(1000)
    code, kept = outcome.seen[0]
    assert code == 1000
    assert 0.1 < kept < 15
