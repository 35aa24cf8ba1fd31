"""Luau scripts against servers of every kind: ``script`` runs one and expects that it ends well."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

#: What a script's standard error says of a connection whose server has gone without a word.
DROPPED = "{url} dropped TCP without a closing handshake (code 1006)\n"
#: The same over TLS, which has an end of its own.
DROPPED_TLS = (
    r"the connection to \1 was lost: TCP ended without the end of TLS (close_notify): the data may be cut off "
    "(code 1006)"
)


@pytest.fixture
def script(run_luau) -> Callable[..., list[str]]:
    """Runs a script with the server's address as ``...``; returns the lines that it printed.

    In what is expected on standard error ``{url}`` stands for the address.
    """

    def run(text: str, url: str, *, stderr: str | None = "", status: int = 0, timeout: float = 30) -> list[str]:
        outcome = run_luau(text, args=(url,), timeout=timeout)
        assert outcome.status == status, outcome
        if stderr is not None:
            expected = stderr.replace("{url}", url)
            expected = re.sub(
                r"(wss://\S+) dropped TCP without a closing handshake \(code 1006\)", DROPPED_TLS, expected
            )
            assert outcome.stderr == expected, outcome
        return outcome.stdout.splitlines()

    return run
