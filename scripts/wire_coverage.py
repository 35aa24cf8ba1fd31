"""What the tests of ``wire`` run of it: reads what cargo and llvm-cov say, for scripts/coverage.sh.

A line that no test runs has its reason beside it, in a comment ``// Not run: ...`` on the line or on the one above.
The gate is the share of all lines, and that no line is left without a reason.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "crates/wire/src"
GATE = 98.0  # per cent of the lines
REASON = "// Not run: "


def objects(messages: Path) -> int:
    """Prints the test programs that cargo built, one a line."""
    for line in messages.read_text().splitlines():
        if line.startswith("{"):
            message = json.loads(line)
            if message.get("executable") and message["profile"]["test"]:
                print(message["executable"])
    return 0


def counts(lcov: Path) -> dict[Path, dict[int, int]]:
    """How often each line of each file of ``wire`` ran."""
    files: dict[Path, dict[int, int]] = {}
    lines: dict[int, int] = {}
    for record in lcov.read_text().splitlines():
        kind, _, value = record.partition(":")
        if kind == "SF":
            lines = {}
            if Path(value).is_relative_to(SOURCES):
                files[Path(value)] = lines
        elif kind == "DA":
            number, count = value.split(",")[:2]
            lines[int(number)] = int(count)
    return files


def report(lcov: Path) -> int:
    """Prints what is not run, and the share of what is. Returns the exit status."""
    run = total = 0
    unexplained = False
    for path, lines in sorted(counts(lcov).items()):
        source = path.read_text().splitlines()
        # A file's own tests stand at its end, and are not what is measured.
        end = source.index("#[cfg(test)]") + 1 if "#[cfg(test)]" in source else len(source) + 1
        for number, count in sorted(lines.items()):
            if number >= end:
                continue
            total += 1
            run += count > 0
            if not count:
                reasons = [line.split(REASON)[1] for line in source[max(number - 2, 0) : number] if REASON in line]
                unexplained |= not reasons
                where = f"{path.relative_to(SOURCES.parent.parent.parent)}:{number}"
                print(f"coverage: wire: {where}: not run: {reasons[-1] if reasons else 'NO REASON GIVEN'}")
    share = 100 * run / total
    failed = unexplained or share < GATE
    verdict = "FAILED: " if failed else ""
    print(f"coverage: wire: {verdict}{run} of {total} lines are run, {share:.1f} % (gate: {GATE:.0f} %)")
    return int(failed)


if __name__ == "__main__":
    _, command, path = sys.argv
    sys.exit({"objects": objects, "report": report}[command](Path(path)))
