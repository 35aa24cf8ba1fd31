"""Prints what a message costs on each face: ``python -m tests.counting [--page docs/performance.md] [FACE]``.

``FACE`` is a part of a face's name. With ``--page`` the table also takes its place on that page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.table import aligned, put_between

from tests.counting.counted import FACES, Counts, count
from tests.counting.traffic import COUNTS

#: Between these lines of a page the table stands.
MARKS = (
    "<!-- counts: written by `python -m tests.counting --page docs/performance.md` -->",
    "<!-- end of the counts -->",
)


def row(face: str, name: str, counts: Counts) -> list[str]:
    figures = [sum(counts.system_calls.values()), counts.polls, counts.allocations, counts.kilobytes, counts.faults]
    return [name, face, *map(number, figures)]


def number(value: float) -> str:
    """Three digits; what is less than a thousandth is nothing."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value >= 0.001 else "0"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.counting", description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument("face", nargs="?", default="", help="a part of a face's name (default: all faces)")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="put the table between the marks of this page as well"
    )
    given = parser.parse_args()
    rows = []
    for face in (face for face in FACES if given.face in face):
        for scheme in COUNTS:
            for name, counts in count(face, scheme).items():
                print(f"{face:<17}  {name:<13}  {counts}", file=sys.stderr, flush=True)
                rows.append(row(face, name, counts))
    order = [name for names in COUNTS.values() for name in names]
    rows.sort(key=lambda row: order.index(row[0]))
    table = aligned(
        [["workload", "face", "system calls", "polls", "allocations", "kB allocated", "page faults"], *rows]
    )
    print(table)
    if given.page:
        put_between(given.page, MARKS, table + "\n")


if __name__ == "__main__":
    main()
