"""Luau scripts against servers of every kind: ``script`` runs one and expects that it ends well."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def script(run_luau) -> Callable[..., list[str]]:
    """Runs a script with the server's address as ``...``; returns the lines that it printed."""

    def run(text: str, url: str, *, stderr: str | None = "", status: int = 0, timeout: float = 30) -> list[str]:
        outcome = run_luau(text, args=(url,), timeout=timeout)
        assert outcome.status == status, outcome
        if stderr is not None:
            assert outcome.stderr == stderr, outcome
        return outcome.stdout.splitlines()

    return run
