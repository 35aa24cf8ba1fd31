"""wss: what is accepted, what is refused, and what the refusal says."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import warnings

import pytest

from sunsocket import TLS, ConnectError, ConnectionClosed, HandshakeError, TLSError, WebSocket


def context_for(certificate, *, client_ca=None, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def answer(peer):
    peer.accept()
    received = peer.recv()
    peer.send(received.opcode, received.payload)
    peer.finish()


async def fails(face, server, tls, *says):
    with pytest.raises(TLSError) as raised:
        await face.connect(server.url, tls=tls)
    assert isinstance(raised.value, ConnectError)
    assert isinstance(raised.value, ConnectionError)
    for text in (f"cannot connect to wss://localhost:{server.port}/", *says):
        assert text in str(raised.value)


def test_a_certificate_of_a_trusted_ca_is_accepted(face, secure_echo, certificates):
    async def test():
        for tls in (
            TLS(ca_file=certificates.ca_file),
            TLS(ca_file=str(certificates.ca_file)),
            TLS(ca_data=certificates.ca_file.read_bytes()),
            TLS(ca_data=certificates.ca_file.read_text()),
        ):
            ws = await face.connect(secure_echo.url, tls=tls)
            ws.Send("Hello")
            assert await face.do(ws.recv(5)) == "Hello"
            ws.Close()

    face.run(test)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("certificate", "trusted", "says"),
    [
        ("self_signed", True, ["signed by nobody that is trusted here", "give its CA's certificate as ca_file"]),
        ("stranger", True, ["signed by nobody that is trusted here", "give its CA's certificate as ca_file"]),
        ("good", False, ["signed by nobody that is trusted here", "give its CA's certificate as ca_file"]),
        ("wrong_name", True, ['not for "localhost" (it is for elsewhere.example)', "server_hostname"]),
        ("expired", True, ["expired on 20", "renew", "clock"]),
    ],
)
def test_a_certificate_that_cannot_be_trusted(face, raw_server, certificates, certificate, trusted, says, version):
    scripts = []

    async def test():
        context = context_for(getattr(certificates, certificate), version=version)
        server = raw_server(lambda peer: scripts.append(peer), context=context)
        await fails(face, server, TLS(ca_file=certificates.ca_file) if trusted else None, *says)
        assert scripts == [], "not even the request may be sent"

    face.run(test)


def test_a_self_signed_certificate_may_be_trusted_by_itself(face, raw_server, certificates):
    async def test():
        server = raw_server(answer, context=context_for(certificates.self_signed))
        ws = await face.connect(server.url, tls=TLS(ca_file=certificates.self_signed))
        ws.Send("Hello")
        assert await face.do(ws.recv(5)) == "Hello"
        ws.Close()

    face.run(test)


def test_verify_false_accepts_any(face, raw_server, certificates):
    async def test():
        for certificate in (certificates.stranger, certificates.wrong_name, certificates.expired):
            server = raw_server(answer, context=context_for(certificate))
            ws = await face.connect(server.url, tls=TLS(verify=False))
            ws.Send("Hello")
            assert await face.do(ws.recv(5)) == "Hello"
            ws.Close()

    face.run(test)


def test_another_name_may_be_verified_and_is_sent_to_the_server(face, raw_server, certificates):
    asked = []

    async def test():
        context = context_for(certificates.wrong_name)
        context.sni_callback = lambda _sock, name, _context: asked.append(name)
        server = raw_server(answer, context=context)
        tls = TLS(ca_file=certificates.ca_file, server_hostname="elsewhere.example")
        ws = await face.connect(server.url, tls=tls)
        ws.Close()
        assert asked == ["elsewhere.example"]

    face.run(test)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_wanted_and_missing(face, raw_server, certificates, version):
    async def test():
        context = context_for(certificates.good, client_ca=certificates.ca_file, version=version)
        server = raw_server(answer, context=context)
        await fails(face, server, TLS(ca_file=certificates.ca_file), "cert_file and key_file")

    face.run(test)


def test_a_client_certificate_is_shown(face, raw_server, certificates):
    shown = []

    def script(peer):
        shown.append(peer.sock.getpeercert()["subjectAltName"])
        answer(peer)

    async def test():
        server = raw_server(script, context=context_for(certificates.good, client_ca=certificates.ca_file))
        tls = TLS(
            ca_file=certificates.ca_file, cert_file=certificates.client_chain, key_file=str(certificates.client_key)
        )
        ws = await face.connect(server.url, tls=tls)
        ws.Send("Hello")
        assert await face.do(ws.recv(5)) == "Hello"
        ws.Close()
        assert shown == [(("email", "client@example"),)]

    face.run(test)


def test_files_that_hold_something_else(face, certificates, listener):
    async def test():
        wrong = [
            ({"cert_file": certificates.client_key, "key_file": certificates.client_key}, "cert_file"),
            ({"cert_file": certificates.client_chain, "key_file": certificates.client_chain}, "key_file"),
            ({"cert_file": certificates.client_chain, "key_file": "/missing/key"}, "/missing/key"),
            ({"ca_file": certificates.client_key}, "ca_file"),
        ]
        for options, says in wrong:
            with pytest.raises(TLSError, match=says):
                await face.connect(listener.url.replace("ws:", "wss:"), tls=TLS(**options))
        assert not listener.was_tried()

    face.run(test)


def test_a_key_that_is_not_the_certificates(face, certificates, listener):
    async def test():
        tls = TLS(cert_file=certificates.client_chain, key_file=certificates.good)
        with pytest.raises(TLSError, match="key"):
            await face.connect(listener.url.replace("ws:", "wss:"), tls=tls)
        assert not listener.was_tried()

    face.run(test)


def test_a_plain_server_on_wss(face, echo):
    async def test():
        with pytest.raises(TLSError, match="use ws:// in place of wss://"):
            await face.connect(echo.url.replace("ws://", "wss://"))

    face.run(test)


def test_a_tls_server_on_ws(face, secure_echo):
    async def test():
        with pytest.raises(HandshakeError, match="wss://"):
            await face.connect(secure_echo.url.replace("wss://", "ws://"))

    face.run(test)


def test_a_server_that_drops_tcp_within_the_tls_handshake(face, raw_server, certificates):
    async def test():
        server = raw_server(lambda peer: peer.read(1))
        with pytest.raises(TLSError, match="TLS handshake"):
            await face.connect(f"wss://localhost:{server.port}/", tls=TLS(ca_file=certificates.ca_file))

    face.run(test)


def test_an_old_tls_version_is_refused_in_words(face, raw_server, certificates):
    context = context_for(certificates.good)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    async def test():
        server = raw_server(answer, context=context)
        await fails(face, server, TLS(ca_file=certificates.ca_file), "TLS 1.2 and 1.3 are spoken")

    face.run(test)


def test_tcp_dropped_inside_tls_is_a_lost_connection(raw_server, certificates):
    server = raw_server(lambda peer: peer.accept(), context=context_for(certificates.good))
    ws = WebSocket.connect(server.url, tls=TLS(ca_file=certificates.ca_file))
    with pytest.raises(ConnectionClosed) as raised:
        ws.recv(5)
    assert raised.value.code == 1006


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (b"\x17\x03\x03\x00\x20" + b"\xaa" * 32, "a record of TLS cannot be decrypted"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "what came is not TLS any more"),
    ],
)
def test_what_breaks_tls_is_told_in_words(raw_server, certificates, record, says):
    def script(peer):
        peer.accept()
        # Past the SSL object, as if somebody between had put it there.
        socket.socket.sendall(peer.sock, record)
        with contextlib.suppress(OSError):
            peer.sock.recv(1)

    server = raw_server(script, context=context_for(certificates.good))
    ws = WebSocket.connect(server.url, tls=TLS(ca_file=certificates.ca_file))
    with pytest.raises(ConnectionClosed):
        ws.recv(5)
    assert ws.close_code == 1006
    assert f"the connection to {server.url} was lost: {says}" in str(ws.error)


def test_a_reset_is_told_without_the_number_of_the_system(raw_server):
    def script(peer):
        peer.accept()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    server = raw_server(script, context=None)
    ws = WebSocket.connect(server.url)
    with pytest.raises(ConnectionClosed):
        ws.recv(5)
    assert str(ws.error) == f"the connection to {server.url} was lost: connection reset by peer"


def test_the_options_are_frozen_and_compare():
    assert TLS(ca_file="a") == TLS(ca_file="a") != TLS()
    with pytest.raises(AttributeError):
        TLS().verify = False


FLUSHING = """
import os, sys
from sunsocket import TLS, WebSocket
ws = WebSocket.connect(sys.argv[1], compression=None, ping_interval=None, tls=TLS(verify=False))
while True:
    ws.Send(bytes(16000))
    ws.flush()
    os.write(1, b".")
"""


def test_what_flush_returned_for_arrives_although_the_process_is_killed(raw_server, certificates):
    killed, ended, arrived = threading.Event(), threading.Event(), []

    def script(peer):
        peer.accept()
        killed.wait(20)
        with contextlib.suppress(EOFError, OSError):
            while True:
                arrived.append(len(peer.recv().payload))
        ended.set()

    server = raw_server(script, context=context_for(certificates.good))
    with subprocess.Popen([sys.executable, "-c", FLUSHING, server.url], stdout=subprocess.PIPE) as client:
        flushed = b""
        # It goes on until the system takes no more. A machine that is slow here makes the test weaker, not wrong.
        while select.select([client.stdout], [], [], 1)[0] or not flushed:
            flushed += os.read(client.stdout.fileno(), 65536)
        client.kill()
        flushed += client.stdout.read()
    killed.set()
    assert ended.wait(20)
    assert len(arrived) >= len(flushed) > 0
