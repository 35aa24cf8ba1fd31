"""wss with certificates as people have them: made by a plain ``openssl req``, old, or in files of other programs."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys

import pytest

from sunsocket import TLS, TLSError
from tests.test_tls import answer, context_for

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the certificates are made by openssl")

BOTH_VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


class Made:
    """A certificate with its key, in one file and in two.

    Attributes:
        both: The key and the certificate.
        key: The key alone.
        pem: The certificate alone.
    """

    def __init__(self, folder, name):
        self.folder = folder
        self.key, self.pem, self.both = (folder / f"{name}.{part}" for part in ("key", "crt", "pem"))

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True).stdout

    def joined(self):
        self.both.write_bytes(self.key.read_bytes() + self.pem.read_bytes())
        return self


def self_signed(folder, *arguments, key="rsa:2048", name="plain"):
    made = Made(folder, name)
    made.openssl(
        *("req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=localhost", "-newkey", *key.split(" ")),
        *("-keyout", made.key, "-out", made.pem, "-addext", "subjectAltName=DNS:localhost", *arguments),
    )
    return made.joined()


def of_version_1(folder, name="old"):
    made = Made(folder, name)
    request = folder / "request"
    made.openssl(
        *("req", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost", "-keyout", made.key, "-out", request)
    )
    made.openssl("x509", "-req", "-in", request, "-signkey", made.key, "-days", "9", "-out", made.pem)
    text = made.openssl("x509", "-noout", "-text", "-in", made.pem)
    assert b"Version: 1" in text
    return made.joined()


def server_of(raw_server, made, version=None, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(made.both)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return raw_server(answer, context=context, **options)


async def echoes(face, server, tls):
    ws = await face.connect(server.url, tls=tls)
    ws.Send("Hello")
    assert await face.do(ws.recv(5)) == "Hello"
    ws.Close()


@BOTH_VERSIONS
def test_what_openssl_req_makes_is_trusted_when_it_is_given_itself(face, raw_server, tmp_path, version):
    made = self_signed(tmp_path)
    assert b"CA:TRUE" in made.openssl("x509", "-noout", "-text", "-in", made.pem)

    async def test():
        for tls in (TLS(ca_file=made.pem), TLS(ca_data=made.pem.read_text())):
            await echoes(face, server_of(raw_server, made, version), tls)
        with pytest.raises(TLSError, match="give this very certificate as ca_file"):
            await face.connect(
                server_of(raw_server, made, version).url, tls=TLS(ca_file=self_signed(tmp_path, name="other").pem)
            )

    face.run(test)


def test_files_as_other_programs_write_them(face, raw_server, tmp_path):
    made = self_signed(tmp_path)
    pem = made.pem.read_text()
    forms = [
        "\ufeff" + pem.replace("\n", "\r\n"),
        pem.replace("CERTIFICATE", "X509 CERTIFICATE"),
        made.openssl("x509", "-in", made.pem, "-trustout").decode(),
        made.openssl("x509", "-in", made.pem, "-trustout", "-addtrust", "serverAuth").decode(),
    ]
    assert "BEGIN TRUSTED CERTIFICATE" in forms[-1]

    async def test():
        for form in forms:
            made.pem.write_text(form, newline="")
            await echoes(face, server_of(raw_server, made), TLS(ca_file=made.pem))

    face.run(test)


@pytest.mark.parametrize("purpose", [("-addreject", "serverAuth"), ("-addtrust", "emailProtection")])
def test_a_certificate_that_openssl_does_not_trust_for_servers_is_not_used(face, listener, tmp_path, purpose):
    made = self_signed(tmp_path)
    distrusted = made.openssl("x509", "-in", made.pem, "-trustout", *purpose)

    async def test():
        with pytest.raises(TLSError, match="ca_data holds no certificate that may vouch for servers"):
            await face.connect(listener.url.replace("ws:", "wss:"), tls=TLS(ca_data=distrusted))
        assert not listener.was_tried()

    face.run(test)


@BOTH_VERSIONS
def test_verify_false_accepts_whatever_a_server_shows(face, raw_server, tmp_path, version):
    any_kind = [of_version_1(tmp_path), self_signed(tmp_path, key="rsa:1024", name="short")]
    if version == ssl.TLSVersion.TLSv1_3:
        # In TLS 1.2 the curve of the key has to be one that keys are exchanged on, too (RFC 8422 5.1).
        any_kind += [
            self_signed(tmp_path, key="ec -pkeyopt ec_paramgen_curve:P-521", name="p521"),
            self_signed(tmp_path, key="ed448", name="ed448"),
        ]

    async def test():
        for made in any_kind:
            await echoes(face, server_of(raw_server, made, version), TLS(verify=False))

    face.run(test)


def test_a_certificate_of_version_1_is_refused_in_words(face, raw_server, tmp_path):
    made = of_version_1(tmp_path)

    async def test():
        with pytest.raises(TLSError, match=r"X.509 version 1, .* subjectAltName"):
            await face.connect(server_of(raw_server, made).url, tls=TLS(ca_file=made.pem))

    face.run(test)


@BOTH_VERSIONS
def test_a_client_certificate_of_version_1_is_sent(face, raw_server, certificates, tmp_path, version):
    made, other = of_version_1(tmp_path), self_signed(tmp_path)
    shown = []

    def script(peer):
        shown.append(ssl.DER_cert_to_PEM_cert(peer.sock.getpeercert(binary_form=True)))
        answer(peer)

    async def test():
        context = context_for(certificates.good, client_ca=made.pem, version=version)
        server = raw_server(script, context=context)
        await echoes(face, server, TLS(ca_file=certificates.ca_file, cert_file=made.pem, key_file=made.key))
        assert shown == [made.pem.read_text()]
        with pytest.raises(TLSError, match="the key is not the one of the first certificate"):
            await face.connect(server.url, tls=TLS(cert_file=made.pem, key_file=other.key))

    face.run(test)


def test_a_key_with_a_passphrase_is_named_as_one(face, listener, tmp_path):
    made = self_signed(tmp_path)
    locked = tmp_path / "locked.key"
    made.openssl("pkcs8", "-topk8", "-in", made.key, "-out", locked, "-passout", "pass:x")

    async def test():
        with pytest.raises(TLSError, match=r"locked.key holds no private key .* encrypted with a passphrase"):
            await face.connect(
                listener.url.replace("ws:", "wss:"), tls=TLS(verify=False, cert_file=made.pem, key_file=locked)
            )
        assert not listener.was_tried()

    face.run(test)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SSL_CERT_FILE", "/missing/file.pem", "SSL_CERT_FILE /missing/file.pem cannot be read: no such file"),
        ("SSL_CERT_FILE", __file__, f"SSL_CERT_FILE {__file__} holds no certificate in PEM"),
        ("SSL_CERT_DIR", "/missing/folder", "SSL_CERT_DIR /missing/folder holds no certificate"),
    ],
)
def test_a_bad_store_in_the_environment_is_named(listener, name, value, says):
    program = "import sys, sunsocket; sunsocket.WebSocket.connect(sys.argv[1])"
    environment = {key: text for key, text in os.environ.items() if not key.startswith("SSL_CERT_")}
    process = subprocess.run(
        [sys.executable, "-c", program, listener.url.replace("ws:", "wss:")],
        env={**environment, name: value},
        capture_output=True,
        text=True,
    )
    last = process.stderr.splitlines()[-1]
    for text in ("TLSError: ", says, "ca_file"):
        assert text in last
    assert not listener.was_tried()
