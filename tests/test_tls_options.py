"""Fields of ``TLS`` beside whom it trusts: pins, the oldest version, a client's certificate in memory, the key log."""

from __future__ import annotations

import base64
import hashlib
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sunsocket import TLS, TLSError, WebSocket
from tests.test_tls import answer, context_for, fails


def hashes(pem_file):
    """The SHA-256 of a certificate, and that of its key."""
    certificate = x509.load_pem_x509_certificates(pem_file.read_bytes())[0]
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)), hashlib.sha256(key)


async def echoes(face, server, tls):
    ws = await face.connect(server.url, tls=tls)
    ws.Send("Hello")
    assert await face.do(ws.recv(5)) == "Hello"
    ws.Close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_pin_may_be_of_the_certificate_or_of_its_key_and_is_written_in_any_way(
    face, raw_server, certificates, version
):
    certificate, key = hashes(certificates.good)
    written = [
        certificate.hexdigest(),
        key.hexdigest().upper(),
        ":".join(f"{byte:02X}" for byte in key.digest()),
        f"sha256/{base64.b64encode(key.digest()).decode()}",
        f"sha256//{base64.b64encode(key.digest()).decode()}",
        ["00" * 32, key.hexdigest()],
    ]

    async def test():
        server = raw_server(answer, context=context_for(certificates.good, version=version))
        for pin in written:
            await echoes(face, server, TLS(ca_file=certificates.ca_file, pin=pin))

    face.run(test)


def test_a_certificate_that_is_trusted_and_not_pinned_is_refused(face, raw_server, certificates):
    _, key = hashes(certificates.good)

    async def test():
        server = raw_server(answer, context=context_for(certificates.good))
        tls = TLS(ca_file=certificates.ca_file, pin="ab" * 32)
        await fails(face, server, tls, "not the one that pin names", f"the SHA-256 of its key is {key.hexdigest()}")

    face.run(test)


def test_a_pin_is_verified_beside_all_else_or_alone(face, raw_server, certificates):
    pin = hashes(certificates.self_signed)[1].hexdigest()

    async def test():
        server = raw_server(answer, context=context_for(certificates.self_signed))
        await fails(face, server, TLS(ca_file=certificates.ca_file, pin=pin), "signed by nobody that is trusted")
        await echoes(face, server, TLS(verify=False, pin=pin))
        await fails(face, server, TLS(verify=False, pin="ab" * 32), "not the one that pin names")

    face.run(test)


@pytest.mark.parametrize(
    ("pin", "kind"),
    [("abc", ValueError), ("sha256/abc", ValueError), ("sha256/!", ValueError), (5, TypeError), ([b"x"], TypeError)],
)
def test_what_is_no_pin_is_refused(pin, kind):
    with pytest.raises(kind, match="pin"):
        WebSocket.connect("wss://127.0.0.1:1/", tls=TLS(pin=pin))


def test_the_oldest_version_can_be_1_3(face, raw_server, certificates):
    async def test():
        new = raw_server(answer, context=context_for(certificates.good, version=ssl.TLSVersion.TLSv1_3))
        old = raw_server(answer, context=context_for(certificates.good, version=ssl.TLSVersion.TLSv1_2))
        tls = TLS(ca_file=certificates.ca_file, min_version="1.3")
        await echoes(face, new, tls)
        await echoes(face, old, TLS(ca_file=certificates.ca_file, min_version="1.2"))
        await fails(face, old, tls)

    face.run(test)
    with pytest.raises(ValueError, match=r"min_version is \"1\.2\" or \"1\.3\", not '1\.1'"):
        WebSocket.connect("wss://127.0.0.1:1/", tls=TLS(min_version="1.1"))


def test_a_client_s_certificate_may_be_in_memory(face, raw_server, certificates):
    async def test():
        server = raw_server(answer, context=context_for(certificates.good, client_ca=certificates.ca_file))
        chain, key = certificates.client_chain.read_bytes(), certificates.client_key.read_text()
        tls = TLS(ca_file=certificates.ca_file, cert_data=chain, key_data=key)
        assert "BEGIN" not in repr(tls)
        await echoes(face, server, tls)
        await echoes(face, server, TLS(ca_file=certificates.ca_file, cert_data=chain, key_file=certificates.client_key))

    face.run(test)


def test_a_client_s_certificate_is_given_once_and_with_its_key(certificates):
    chain, key = certificates.client_chain, certificates.client_key
    for tls, words in (
        (TLS(cert_file=chain, cert_data=chain.read_bytes(), key_file=key), "cert_file and cert_data say the same"),
        (TLS(cert_file=chain, key_file=key, key_data=key.read_bytes()), "key_file and key_data say the same"),
        (TLS(cert_data=chain.read_bytes()), "go together"),
    ):
        with pytest.raises(ValueError, match=words):
            WebSocket.connect("wss://127.0.0.1:1/", tls=tls)
    with pytest.raises(TLSError, match="cert_data holds no certificate"):
        WebSocket.connect("wss://127.0.0.1:1/", tls=TLS(cert_data="x", key_file=key))
    with pytest.raises(TLSError, match="key_data holds no private key"):
        WebSocket.connect("wss://127.0.0.1:1/", tls=TLS(cert_file=chain, key_data="x"))


def test_the_key_log_gets_the_secrets_of_a_session(run_python, secure_echo, certificates, tmp_path, monkeypatch):
    log = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    program = """
import sys
from sunsocket import TLS, WebSocket
with WebSocket.connect(sys.argv[1], tls=TLS(ca_file=sys.argv[2])) as ws:
    print(ws.state.name)
"""
    outcome = run_python(program, secure_echo.url, str(certificates.ca_file))
    assert outcome.stdout == "OPEN\n"
    assert {line.split()[0] for line in log.read_text().splitlines()} >= {
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    }
