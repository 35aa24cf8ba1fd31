"""Certificates that servers show: good ones and bad ones."""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme


class Certificates:
    """A CA and leaf certificates, as files.

    Attributes:
        ca_file: What a client has to trust.
        good: For localhost and 127.0.0.1.
        wrong_name: For another host.
        expired: For localhost, until yesterday.
        stranger: For localhost, signed by a CA that nobody trusts.
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

    def _leaf(self, name: str, certificate: trustme.LeafCert) -> Path:
        path = self.folder / f"{name}.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
        return path
