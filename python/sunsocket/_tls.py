"""How ``wss`` is verified."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TLS:
    """Certificates and host names of ``wss`` connections.

    By default the server's certificate must be signed by a CA of the system's trust store and be for the URL's host.

    Attributes:
        ca_file: A file of PEM certificates to trust in place of the system's: those of CAs, or a server's own, if that
            is signed by itself.
        ca_data: The same, as PEM text or bytes.
        cert_file: The client's certificate chain, a PEM file.
        key_file: The client's private key, a PEM file.
        server_hostname: The name to verify and to send (SNI) in place of the URL's host.
        verify: False accepts any certificate. Anybody between you and the server can then read and change all.
    """

    ca_file: str | os.PathLike[str] | None = None
    ca_data: str | bytes | None = None
    cert_file: str | os.PathLike[str] | None = None
    key_file: str | os.PathLike[str] | None = None
    server_hostname: str | None = None
    verify: bool = True
