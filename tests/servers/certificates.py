"""Certificates that servers show: good ones and bad ones."""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Certificates:
    """A CA and leaf certificates, as files.

    Attributes:
        ca_file: What a client has to trust.
        good: For localhost and 127.0.0.1.
        wrong_name: For another host.
        expired: For localhost, until yesterday.
        stranger: For localhost, signed by a CA that nobody trusts.
        self_signed: For localhost, signed by its own key.
        client_chain, client_key: A client's, in two files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.ca_file))
        self.good = self._leaf("good", self.ca.issue_cert("localhost", "127.0.0.1", "echo.websocket.events"))
        self.wrong_name = self._leaf("wrong_name", self.ca.issue_cert("elsewhere.example"))
        yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        self.expired = self._leaf("expired", self.ca.issue_cert("localhost", not_after=yesterday))
        self.stranger = self._leaf("stranger", trustme.CA().issue_cert("localhost"))
        self.self_signed = self._self_signed("localhost")
        client = self.ca.issue_cert("client@example")
        self.client_chain, self.client_key = folder / "client.pem", folder / "client.key"
        client.cert_chain_pems[0].write_to_path(str(self.client_chain))
        client.private_key_pem.write_to_path(str(self.client_key))

    def _leaf(self, name: str, certificate: trustme.LeafCert) -> Path:
        path = self.folder / f"{name}.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
        return path

    def _self_signed(self, host: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        path = self.folder / "self_signed.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return path
