"""Runs the Autobahn test suite against our clients.

The cases are cut into shards. Each shard of each face has a fuzzing server and a client of its own, and two such pairs
run at a time: a pair passes one message back and forth, so it keeps one core busy.
"""

from __future__ import annotations

import argparse
import fnmatch
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from compliance.autobahn import report
from compliance.autobahn.suite import HERE, ROOT, Missing, Suite, fuzzing_server, prepare

#: Both faces of Python share the engine: unless it is asked for, threads leave out the sections that take minutes.
FACES = {"aio": "*", "threads": "[0-9].*,10.*", "luau": "*"}
REPORTS = ROOT / "target" / "autobahn"
PAIRS = 2
#: Seconds for one shard.
PATIENCE = 900

#: What clients offer in the subsections of 13, as the suite's own client does; "deflate" everywhere else.
OFFERS = {
    "13.2": "deflate; client_no_context_takeover; server_no_context_takeover",
    "13.3": "deflate; client_no_context_takeover; server_max_window_bits=9",
    "13.4": "deflate; client_no_context_takeover; server_max_window_bits=15",
    "13.5": "deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=9",
    "13.6": "deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=15",
    "13.7": "deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=9",
}


@dataclass(frozen=True)
class Shard:
    """Cases that one pair runs."""

    face: str
    name: str
    cases: tuple[str, ...]

    @property
    def reports(self) -> Path:
        return REPORTS / f"{self.face}-{self.name}"

    def client(self, url: str) -> list[str | Path]:
        offer = OFFERS.get(self.name, "deflate")
        if self.face == "luau":
            sunsocket = Path(sys.executable).with_name("sunsocket")
            return [sunsocket, "run", "--compression", offer, HERE / "client.luau", url, "luau"]
        return [sys.executable, HERE / "client.py", self.face, url, offer]


def shards(cases: report.Cases) -> list[Shard]:
    """The longest first, so that none is left alone at the end."""
    groups: dict[tuple[str, str], list[str]] = {}
    for face, members in cases.items():
        for case in members:
            numbers = case.split(".")
            name = ".".join(numbers[:2]) if numbers[0] in ("12", "13") else "9" if numbers[0] == "9" else "1-10"
            groups.setdefault((name, face), []).append(case)
    ordered = sorted(groups, key=lambda key: (not key[0].startswith("12"), not key[0].startswith("13"), *key))
    return [Shard(face, name, tuple(groups[name, face])) for name, face in ordered]


def run(suite: Suite, shard: Shard, stop: threading.Event) -> dict[str, report.Outcome]:
    """Runs one pair to its end."""
    if stop.is_set():
        return {}
    with (
        fuzzing_server(suite, list(shard.cases), shard.reports) as url,
        (shard.reports / "client.log").open("w") as log,
    ):
        client = subprocess.Popen(shard.client(url), stdout=log, stderr=subprocess.STDOUT)
        patience = time.monotonic() + PATIENCE
        while client.poll() is None and not stop.is_set() and time.monotonic() < patience:
            stop.wait(0.1)
        if client.poll() is None:
            client.kill()
        status = client.wait()
    outcomes = report.read(shard.reports, shard.face)
    if status and not stop.is_set():
        where = shard.reports.relative_to(ROOT) / "client.log"
        print(f"{shard.face} {shard.name}: the client ended with {status}: see {where}", flush=True)
    return outcomes


def run_all(suite: Suite, todo: list[Shard]) -> report.Outcomes:
    """Runs every shard, two at a time."""
    outcomes: report.Outcomes = {shard.face: {} for shard in todo}
    stop = threading.Event()
    begin = time.monotonic()
    with ThreadPoolExecutor(PAIRS) as pool:
        running = {pool.submit(run, suite, shard, stop): shard for shard in todo}
        try:
            for number, done in enumerate(as_completed(running), 1):
                shard, found = running[done], done.result()
                outcomes[shard.face].update(found)
                good = sum(outcome == report.expected(case) for case, outcome in found.items())
                print(
                    f"[{time.monotonic() - begin:4.0f} s] {shard.face:7} {shard.name:5} "
                    f"{good} of {len(shard.cases)} as expected; {number} of {len(todo)} shards",
                    flush=True,
                )
        except BaseException:
            stop.set()
            raise
    return outcomes


def matching(cases: list[str], patterns: str) -> list[str]:
    return [case for case in cases if any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns.split(","))]


def cpu_time() -> float:
    """Seconds that servers and clients have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    parser.add_argument(
        "--cases", metavar="A,B", help='only these, like "2.10,9.*" (default: all; of threads up to 10)'
    )
    parser.add_argument("--face", action="append", choices=FACES, help="only this one (may be repeated)")
    given = parser.parse_args()
    begin = time.monotonic()
    try:
        suite = prepare()
        cases = {face: matching(suite.cases, given.cases or ("*" if given.face else FACES[face])) for face in FACES}
        cases = {face: members for face, members in cases.items() if members and face in (given.face or FACES)}
        if not cases:
            raise Missing(f"no case matches {given.cases}")
        outcomes = run_all(suite, shards(cases))
    except Missing as missing:
        print(f"autobahn: {missing}", file=sys.stderr)
        return 1
    took = report.Took(time.monotonic() - begin, cpu_time())
    print("\n".join(["", *report.table(suite, cases, outcomes), ""]))
    wrong = report.differences(cases, outcomes)
    for line in wrong:
        print(f"autobahn: {line}")
    for face, members in cases.items():
        print(f"autobahn: {face}: {report.count(outcomes[face], members)} of {len(members)} cases")
    print(f"autobahn: {len(wrong)} not as expected, {took}")
    if wrong:
        return 1
    if not given.cases and not given.face:
        report.write_page(suite, cases, outcomes, took, report.versions(Path(sys.executable)))
        print(f"autobahn: {report.PAGE.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
