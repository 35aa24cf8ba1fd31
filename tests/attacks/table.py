"""The page about attacks: its rows are the tests' own marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

HEAD = """\
# Attacks

What a hostile server can try, or somebody whose words a program passes on, and what comes of it. Every row is a test
of `tests/attacks`. "Faces" are the programs that it attacks: one with threads, one on asyncio, one on uvloop, a script;
a script is missing where what is attacked is an option or a method that scripts do not have. "Outcome" is what the test
asserts, on the wire where there is something to see on it; the close code and the text of an error are told in Python
alone. "Peak memory" is the most that the program took beyond what it had after a connection to a friendly server; where
a limit counts, it is 1 MiB in Python and the default of 64 MiB in a script, and the figure is the larger one. An
advisory is one of another implementation's that the test shows us not to share. `make attacks` runs the tests, those
too in which a script waits for 10 to 40 seconds, and writes this page; `tests/attacks/test_table.py` compares the two.

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
    faces: tuple[str, ...]


def attack(what: str, *advisories: str, outcome: str) -> Callable[[Any], Any]:
    """Marks a test as an attack: what is tried, where others fell for it, what comes of it."""
    return pytest.mark.attack(what, *advisories, outcome=outcome)


def face_of(item: Any) -> str:
    """The program that a test attacks: its fixtures say so."""
    params: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    face: str = params.get("assault") or params.get("face") or ("luau" if "start_luau" in item.fixturenames else "")
    return "script" if face.startswith("luau") else face


def rows_of(items: Iterable[pytest.Item]) -> list[Row]:
    """One row for each test that is marked, in the order of the files. What is not so yet is not promised."""
    rows: dict[str, Row] = {}
    for item in items:
        mark = item.get_closest_marker("attack")
        if mark is not None and item.get_closest_marker("xfail") is None:
            test = item.function.__name__  # type: ignore[attr-defined]
            what, *advisories = mark.args
            faces = rows[test].faces if test in rows else ()
            if (face := face_of(item)) not in faces:
                faces = (*faces, face)
            rows[test] = Row(test, item.path.name, what, tuple(advisories), mark.kwargs["outcome"], faces)
    return sorted(rows.values(), key=lambda row: row.file)


def figure(peak: int) -> str:
    return f"{peak / (1 << 20):.1f} MiB"


def page(rows: Iterable[Row], peaks: dict[str, int]) -> str:
    lines = [HEAD + "| Attack | Advisory | Outcome | Faces | Peak memory | Test |", "|" + " --- |" * 6]
    for row in rows:
        peak = figure(peaks[row.test]) if row.test in peaks else "not measured"
        advisories = ", ".join(row.advisories) or "-"
        faces = ", ".join(row.faces)
        lines.append(f"| {row.what} | {advisories} | {row.outcome} | {faces} | {peak} | `{row.test}` |")
    return "\n".join(lines) + "\n"
