"""Servers that do not do their part: never close, never pong, never read; TCP that is half closed, reset, or gone."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import time

import pytest

from tests.attacks.table import attack
from tests.servers.hostile import MIB, ending, reset, seconds_until_dropped
from tests.servers.raw import CLOSE, PONG, TEXT, close_payload, frame

#: Those which take a script as long as the time-outs are when they cannot be set.
TIMED = pytest.mark.parametrize("assault", ["threads", "asyncio", "luau-slow"], indirect=True)


@attack("a server that never answers our Close", outcome="cut after `close_timeout`, 1006")
@TIMED
def test_a_server_that_never_closes(assault):
    def silent(peer):
        peer.accept()
        code = peer.recv_close().code
        peer.wait_for_end()
        return code

    outcome = assault(silent, mode="close", close_timeout=0.2)
    assert outcome.seen == [1000]
    outcome.has_ended(1006, "close_timeout")


@attack("a server that talks on and on in place of answering our Close", outcome="cut after `close_timeout`, 1006")
@TIMED
def test_a_server_that_talks_on(assault):
    def chatting(peer):
        peer.accept()
        try:
            while True:
                peer.sock.sendall(frame(TEXT, b"x" * 1000) * 16)
                time.sleep(0.001)
        except OSError:
            return "cut off"

    outcome = assault(chatting, mode="close", close_timeout=0.3, memory=4 * MIB)
    assert outcome.seen == ["cut off"]
    outcome.has_ended(1006, "close_timeout")


@attack("a server that sends Close and keeps TCP", outcome="dropped after `close_timeout`; the Close counts")
@TIMED
def test_a_server_that_keeps_tcp(assault):
    def keeping(peer):
        peer.accept(send=frame(CLOSE, close_payload(4000)))
        return peer.recv_close().code, seconds_until_dropped(peer)

    outcome = assault(keeping, close_timeout=0.2)
    outcome.has_ended(4000)
    code, kept = outcome.seen[0]
    assert code == 4000
    assert 0.1 < kept < 15


@attack("a server that never pongs", outcome="1006 after `ping_timeout`")
@TIMED
def test_a_server_that_never_pongs(assault):
    def deaf(peer):
        peer.accept()
        peer.wait_for_end()
        return "cut off"

    outcome = assault(deaf, ping_interval=0.1, ping_timeout=0.1)
    assert outcome.seen == ["cut off"]
    outcome.has_ended(1006, "ping_timeout")


@attack("a server that pongs what was not asked", outcome="no answer to our ping: 1006 after `ping_timeout`")
@TIMED
def test_a_server_that_pongs_something_else(assault):
    def wrong(peer):
        peer.accept()
        asked = peer.recv().payload
        for payload in (b"", asked[:-1], asked + b"x", bytes(len(asked))):
            peer.send(PONG, payload)
        # What it says otherwise would be a sign of life; that it does not answer is what counts.
        peer.wait_for_end()
        return "cut off"

    outcome = assault(wrong, ping_interval=0.1, ping_timeout=0.2)
    assert outcome.seen == ["cut off"]
    outcome.has_ended(1006, "ping_timeout")


@attack("a server that never reads while we send", outcome="`Send` waits; memory stays at the marks; the end wakes it")
def test_a_server_that_never_reads(assault):
    def blind(peer):
        peer.accept()
        # Until all buffers between the two are full: nothing comes any more.
        before, now = -1, 0
        while before != now:
            time.sleep(0.3)
            before, now = now, struct.unpack("i", fcntl.ioctl(peer.sock, termios.FIONREAD, bytes(4)))[0]
        reset(peer.sock)

    # That this comes to an end is the waking. A Send that did not wait would fill our memory meanwhile; what it takes
    # between the reset and the news of it goes nowhere.
    outcome = assault(blind, mode="send", memory=6 * MIB)
    outcome.has_ended(1006)
    assert outcome.told[0]["sent"] > 0


@attack("TCP that the server half closes", outcome="1006, at once")
def test_half_closed(assault):
    def half(peer):
        peer.accept(send=frame(TEXT, b"last"))
        peer.sock.shutdown(socket.SHUT_WR)
        begun = time.monotonic()
        return ending(peer), time.monotonic() - begun

    outcome = assault(half)
    outcome.has_ended(1006, messages=1)
    how, took = outcome.seen[0]
    assert how in ("end", "reset")
    assert took < 3, "a script's time-outs are of 10 s and more"


@attack("a reset in the middle of a frame, of a message, of silence", outcome="1006; whole messages count")
def test_resets(assault):
    starts = [b"", frame(TEXT, b"x" * 100)[:50], frame(TEXT, b"x", fin=False), b"\x81", b"\x81\x7f\x00"]

    def resetting(start):
        def attack(peer):
            peer.accept(send=start)
            reset(peer.sock)

        return attack

    assault(*map(resetting, starts)).has_ended(1006)


@attack("TCP that ends or is reset inside the opening handshake", outcome="`ConnectError`")
def test_ends_inside_the_handshake(assault):
    def cut(data, how):
        def attack(peer):
            peer.sock.recv(65536)
            peer.sock.sendall(data)
            how(peer.sock)

        return attack

    ways = [lambda sock: sock.close(), reset]
    pieces = [b"", b"HTTP/1.1 101 Swi", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"]
    outcome = assault(*[cut(data, how) for how in ways for data in pieces])
    for told in outcome.told:
        assert "cannot connect to" in told["text"]
        assert told["kind"] in ("HandshakeError", "ConnectError", "error")


@attack("Close that is answered with a reset", outcome="the server's Close counts, or 1006; one OnClose")
def test_a_reset_after_close(assault):
    def resetting(peer):
        peer.accept(send=frame(CLOSE, close_payload(1001)))
        peer.recv_close()
        reset(peer.sock)

    outcome = assault(resetting)
    assert [told["closed"] for told in outcome.told] == [1]
    if outcome.face != "luau":
        assert outcome.told[0]["code"] == 1001
