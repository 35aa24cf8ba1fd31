"""How ``wss`` is verified."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

from ._record import hidden, record


@record
class TLS:
    """Certificates and host names of ``wss`` connections.

    By default the server's certificate must be signed by a CA of the system's trust store and be for the URL's host.

    Attributes:
        ca_file: A file of PEM certificates to trust in place of the system's: those of CAs, or a server's own, if that
            is signed by itself.
        ca_data: The same, as PEM text or bytes.
        cert_file: The client's certificate chain, a PEM file.
        cert_data: The same, as PEM text or bytes.
        key_file: The client's private key, a PEM file.
        key_data: The same, as PEM text or bytes.
        pin: The SHA-256 of the server's certificate or of its public key, or several, of which one has to fit beside
            all else that is verified: 64 hexadecimal digits, with colons or without, or ``"sha256/BASE64"``.
        min_version: "1.2" or "1.3", the oldest version of TLS that is spoken.
        server_hostname: The name to verify and to send (SNI) in place of the URL's host.
        verify: False accepts any certificate. Anybody between you and the server can then read and change all.
    """

    ca_file: str | os.PathLike[str] | None = None
    ca_data: str | bytes | None = None
    cert_file: str | os.PathLike[str] | None = None
    cert_data: str | bytes | None = hidden(default=None)
    key_file: str | os.PathLike[str] | None = None
    key_data: str | bytes | None = hidden(default=None)
    pin: str | Sequence[str] = ()
    min_version: Literal["1.2", "1.3"] = "1.2"
    server_hostname: str | None = None
    verify: bool = True


def pins(given: Any) -> list[bytes]:
    """The field ``pin`` as 32 bytes each."""
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, Sequence) or not all(isinstance(pin, str) for pin in given):
        raise TypeError("pin is a str like 'sha256/BASE64' or 64 hexadecimal digits, or a sequence of those")
    return [_pin(pin) for pin in given]


def _pin(text: str) -> bytes:
    try:
        if text.startswith("sha256/"):
            # Imported here, for few programs pin anything.
            from base64 import b64decode

            pin = b64decode(text.removeprefix("sha256/").removeprefix("/"), validate=True)
        else:
            pin = bytes.fromhex(text.replace(":", ""))
    except ValueError:  # what base64 raises is one
        pin = b""
    if len(pin) != 32:
        raise ValueError(
            f"pin {text!r} is no SHA-256: write 'sha256/' and 44 characters of Base64, or 64 hexadecimal digits"
        )
    return pin


def is_only_1_3(min_version: Any) -> bool:
    """The field ``min_version``."""
    if min_version not in ("1.2", "1.3"):
        raise ValueError(f'min_version is "1.2" or "1.3", not {min_version!r}: older ones are not spoken')
    return bool(min_version == "1.3")
