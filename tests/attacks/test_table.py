"""The page about attacks has a row for each attack, and each of its rows has its test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.attacks.table import HEAD, page, rows_of
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "attacks.md"
FIGURE = re.compile(r"\| (\d+\.\d MiB|not measured) \|")


@pytest.fixture
def is_being_written(request):
    if request.config.getoption("attack_table", None):
        pytest.skip("this run writes the page")


@pytest.mark.usefixtures("is_being_written")
def test_the_page_and_the_tests_agree(request):
    # This run may have been asked for one test alone.
    items = request.session.items
    if len({item.path.name for item in items if item.path.parent == Path(__file__).parent}) < len(
        list(Path(__file__).parent.glob("test_*.py"))
    ):
        pytest.skip("not all attacks are part of this run")
    expected = page(rows_of(items), {})
    assert FIGURE.sub("| |", PAGE.read_text()) == FIGURE.sub("| |", expected), "run `make attacks`"


def test_each_attack_says_what_comes_of_it(request):
    for row in rows_of(request.session.items):
        assert row.what, row.test
        assert row.outcome, row.test
        assert row.faces, row.test
        assert all(row.faces), row.test
        for advisory in row.advisories:
            assert re.fullmatch(r"(CVE|WS)-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}", advisory), row.test


def test_tests_of_attacks_are_marked(request):
    folder = Path(__file__).parent
    for item in request.session.items:
        if item.path.parent == folder and item.path != Path(__file__):
            assert item.get_closest_marker("attack"), item.nodeid


@pytest.mark.usefixtures("is_being_written")
def test_measured_attacks_have_figures():
    rows = PAGE.read_text().removeprefix(HEAD).splitlines()[2:]
    assert len(rows) > 110
    assert sum("not measured" not in row for row in rows) > 100
