"""Scripts, one for each global or family of globals: what each prints is beside it, in a file that ends in ``.out``.

What belongs on standard error is in a file that ends in ``.err``; where there is none, nothing belongs there. A
script's arguments are the addresses of two echo servers, over ws and over wss.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDER = Path(__file__).parent
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.luau"))


def expected(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name, run_luau, echo, secure_echo, certificates):
    path = FOLDER / f"{name}.luau"
    flags = ("--cacert", str(certificates.ca_file))
    outcome = run_luau(path.relative_to(ROOT), *flags, args=(echo.url, secure_echo.url))
    assert outcome.stdout == path.with_suffix(".out").read_text(), outcome
    assert outcome.stderr == expected(path.with_suffix(".err")), outcome
    assert outcome.status == 0, outcome


def test_there_are_scripts():
    assert len(SCRIPTS) >= 12
