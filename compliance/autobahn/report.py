"""What the servers reported, held against what is expected, and the page that is kept of it."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from compliance.autobahn.suite import HERE, ROOT, Suite

#: Cases that are expected to be something else than OK, with the reason.
EXPECTED: dict[str, dict[str, str]] = json.loads((HERE / "expected.json").read_text())
PAGE = ROOT / "docs" / "autobahn.md"

FACES = {
    "aio": "Python, asyncio: a task that awaits `recv()` and sends what it got",
    "threads": "Python, threads: `OnMessage.Connect(ws.Send)`; the engine below is the same, so 12 and 13 are left out",
    "luau": "Luau: a script under `sunsocket run`, with `OnMessage:Connect`",
}

TEMPLATE = """\
# Autobahn

The outcome of the official Autobahn test suite (`autobahntestsuite` {suite}) as fuzzing server against the clients of
this repository. `make autobahn` runs it and writes this page. It fails unless every case has the outcome that
`compliance/autobahn/expected.json` names, in behaviour and in closing; what that file does not name has to be OK.

{table}

{faces}

{run}

## What is not OK, and why

These cases have no other outcome than INFORMATIONAL, whatever a client does:

{reasons}

## How the clients are run

permessage-deflate is on in every section, as it is by default. In section 13 the suite wants the client to offer
parameters; ours offer what the suite's own client does, one offer in place of three in 13.7. A script has them from
`sunsocket run --compression`.

A script gets every message as a string. It sends a string that is valid UTF-8 as text, and any other as binary; of
which kind a message was that it got, it does not hear. The script of the suite goes by the section: where all messages
are binary it sends `buffer.fromstring(message)`, which always is binary.
"""


@dataclass(frozen=True)
class Outcome:
    """Of one case on one face."""

    behavior: str
    close: str

    def __str__(self) -> str:
        return self.behavior if self.behavior == self.close else f"{self.behavior}, close {self.close}"


@dataclass(frozen=True)
class Took:
    """How long a run was, and the CPU time of all servers and clients, in seconds."""

    seconds: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.seconds / 60:.1f} minutes ({self.cpu / 60:.1f} of CPU time)"


#: Both by face.
Cases = dict[str, list[str]]
Outcomes = dict[str, dict[str, Outcome]]


def read(reports: Path, face: str) -> dict[str, Outcome]:
    """What one server reported, by case."""
    index = reports / "index.json"
    if not index.exists():
        return {}
    found = json.loads(index.read_text()).get(face, {})
    return {case: Outcome(each["behavior"], each["behaviorClose"]) for case, each in found.items()}


def expected(case: str) -> Outcome:
    other = EXPECTED.get(case)
    return Outcome(other["behavior"], other["close"]) if other else Outcome("OK", "OK")


def differences(cases: Cases, outcomes: Outcomes) -> list[str]:
    """A line for each case that is not as expected."""
    lines = []
    for face, members in cases.items():
        for case in members:
            outcome = outcomes[face].get(case)
            if outcome is None:
                lines.append(f"{face} {case}: not run")
            elif outcome != expected(case):
                lines.append(f"{face} {case}: {outcome}; expected {expected(case)}")
    return lines


def count(found: dict[str, Outcome], cases: list[str]) -> str:
    """How many of each outcome, the most frequent first."""
    counts = Counter(found[case].behavior for case in cases if case in found)
    return ", ".join(f"{number} {behavior}" for behavior, number in counts.most_common()) or "-"


def table(suite: Suite, cases: Cases, outcomes: Outcomes) -> list[str]:
    """The lines of the summary: sections down, faces across."""
    lines = [f"| section | cases | {' | '.join(cases)} |", "| --- | ---: |" + " --- |" * len(cases)]
    run = {case for members in cases.values() for case in members}
    for section in sorted(suite.sections, key=int):
        members = [case for case in suite.cases if case in run and case.split(".")[0] == section]
        if members:
            counts = " | ".join(count(outcomes[face], members) for face in cases)
            lines.append(f"| {section} {suite.sections[section]} | {len(members)} | {counts} |")
    totals = " | ".join(f"**{count(outcomes[face], members)}**" for face, members in cases.items())
    lines.append(f"| **all** | **{len(run)}** | {totals} |")
    return lines


def write_page(suite: Suite, cases: Cases, outcomes: Outcomes, took: Took, versions: list[str]) -> None:
    """`docs/autobahn.md`, after a run of every case."""
    today = datetime.datetime.now(datetime.UTC).date()
    reasons = "\n".join(f"- **{case}**: {each['why']}" for case, each in EXPECTED.items())
    text = TEMPLATE.format(
        suite=suite.version,
        table="\n".join(table(suite, cases, outcomes)),
        faces="\n".join(f"- `{face}`: {FACES[face]}." for face in cases),
        run=f"{today}, {took}, {', '.join(versions)}.",
        reasons=reasons,
    )
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)


def versions(python: Path) -> list[str]:
    """What was tested, and with what."""
    code = "import sunsocket; print(sunsocket.__version__)"
    ours = subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()
    return [f"sunsocket {ours}", f"Python {platform.python_version()}", f"{platform.system()} {platform.machine()}"]
