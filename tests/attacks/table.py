"""The page about attacks: its rows are the tests' own marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

HEAD = """\
# Attacks

What a hostile server can try, and what comes of it. Every row is a test of `tests/attacks`, in which a server of
raw bytes attacks a program with threads, one on asyncio, and a script. "Outcome" is what the test asserts, on the wire
where there is something to see on it. "Peak memory" is the most that the program took beyond what it had after a
connection to a friendly server; where a limit counts, it is 1 MiB in Python and the default of 64 MiB in a script, and
the figure is the larger one. An advisory is one of another implementation's that the test shows us not to
share. `make attacks` runs the tests and writes this page; `tests/attacks/test_table.py` compares the two.

Left out are advisories about servers alone (timing of passwords, request smuggling) and about code that has no
counterpart here.

"""


@dataclass(frozen=True)
class Row:
    test: str
    file: str
    what: str
    advisories: tuple[str, ...]
    outcome: str


def attack(what: str, *advisories: str, outcome: str) -> Callable[[Any], Any]:
    """Marks a test as an attack: what is tried, where others fell for it, what comes of it."""
    return pytest.mark.attack(what, *advisories, outcome=outcome)


def rows_of(items: Iterable[pytest.Item]) -> list[Row]:
    """One row for each test that is marked, in the order of the files."""
    rows: dict[str, Row] = {}
    for item in items:
        mark = item.get_closest_marker("attack")
        if mark is not None:
            test = item.function.__name__  # type: ignore[attr-defined]
            what, *advisories = mark.args
            rows[test] = Row(test, item.path.name, what, tuple(advisories), mark.kwargs["outcome"])
    return sorted(rows.values(), key=lambda row: row.file)


def figure(peak: int) -> str:
    return f"{peak / (1 << 20):.1f} MiB"


def page(rows: Iterable[Row], peaks: dict[str, int]) -> str:
    lines = [HEAD + "| Attack | Advisory | Outcome | Peak memory | Test |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        peak = figure(peaks[row.test]) if row.test in peaks else "not measured"
        advisories = ", ".join(row.advisories) or "-"
        lines.append(f"| {row.what} | {advisories} | {row.outcome} | {peak} | `{row.test}` |")
    return "\n".join(lines) + "\n"
