"""Runs the Python client, on both faces, against servers that others wrote, one after the other."""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sunsocket
from compliance.interop import checks, servers
from compliance.interop.servers import BUILT, ROOT, SERVERS, Broken, Certificates, Missing, Server

PAGE = ROOT / "docs" / "interop.md"
FACES = ["threads", "aio"]
#: Columns: whether TLS, and what the client offers.
CONFIGURATIONS: dict[str, tuple[bool, Any]] = {
    "ws": (False, None),
    "ws, deflate": (False, "deflate"),
    "wss": (True, None),
    "wss, deflate": (True, "deflate"),
}

TEMPLATE = """\
# Interop

The Python client, on both faces, against servers that others wrote. `make interop` runs it and writes this page; it
fails when one check does.

{table}

A cell says how many checks passed on threads and on asyncio together. "deflate" is what the client offers; *not
agreed*: the server has no permessage-deflate, and the checks ran without. The proxies end TLS in front of the server
of `websockets`.

{missing}{run}

## The checks

{checks}

## The servers

Each is a program of a few lines in `compliance/interop`, whose README says what it does and how it is pinned.
"""


@dataclass
class Row:
    """One server's results, by configuration."""

    version: str
    cells: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def say(line: str) -> None:
    print(line, flush=True)


def check(server: Server, certificates: Certificates) -> Row:
    """Builds a server and runs every check against it."""
    command = server.build()
    row = Row(server.version())
    for secure in (False, True):
        names = [name for name, (tls, _) in CONFIGURATIONS.items() if tls is secure]
        if server.template is not None and not secure:
            row.cells.update(dict.fromkeys(names, "-"))
            continue
        with servers.run(server, command, secure, certificates) as url:
            for name in names:
                begin = time.monotonic()
                row.cells[name] = configuration(server, row, name, url, certificates)
                say(f"  {name:13} {row.cells[name]:22} {time.monotonic() - begin:5.1f} s")
    return row


def configuration(server: Server, row: Row, name: str, url: str, certificates: Certificates) -> str:
    secure, compression = CONFIGURATIONS[name]
    options: dict[str, Any] = {"compression": compression}
    if secure:
        options["tls"] = sunsocket.TLS(ca_file=certificates.ca_file)
    passed = 0
    agreed = False
    for face in FACES:
        agreed, results = checks.run(checks.Face(face, options), url)
        if compression and agreed is not server.deflate:
            row.failures.append(f"{name}, {face}: permessage-deflate was {'' if agreed else 'not '}agreed")
        passed += sum(not problem for problem in results.values())
        for title, problem in results.items():
            if problem:
                row.failures.append(f"{name}, {face}, {title}: {problem}")
    count = f"{passed} of {len(checks.CHECKS) * len(FACES)}"
    return f"{count}, *not agreed*" if compression and not agreed else count


def table(rows: dict[str, Row]) -> str:
    lines = [f"| server | version | {' | '.join(CONFIGURATIONS)} |", "| --- | --- |" + " --- |" * len(CONFIGURATIONS)]
    for name, row in rows.items():
        cells = " | ".join(row.cells.get(column, "") for column in CONFIGURATIONS)
        lines.append(f"| {name} | {row.version} | {cells} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    names = ", ".join(server.name for server in SERVERS)
    parser.add_argument("--server", action="append", metavar="NAME", help=f"only those that begin so, of: {names}")
    given = parser.parse_args()
    chosen = [server for server in SERVERS if not given.server or server.name.startswith(tuple(given.server))]
    begin = time.monotonic()
    rows: dict[str, Row] = {}
    missing: dict[str, str] = {}
    broken: list[str] = []
    BUILT.mkdir(parents=True, exist_ok=True)
    certificates = Certificates(BUILT / "certificates")
    for server in chosen:
        say(server.name)
        try:
            rows[server.name] = check(server, certificates)
        except Missing as error:
            missing[server.name] = str(error)
            say(f"  left out: {error}")
        except Broken as error:
            broken.append(f"{server.name}: {error}")
            say(f"  FAILED: {error}")
    seconds = time.monotonic() - begin
    print("\n" + table(rows) + "\n")
    for name, reason in missing.items():
        print(f"interop: {name} left out: {reason}")
    failures = broken + [f"{name}, {failure}" for name, row in rows.items() for failure in row.failures]
    for failure in failures:
        print(f"interop: {failure}")
    print(f"interop: {len(rows)} servers, {len(failures)} checks failed, {seconds / 60:.1f} minutes")
    if failures or not rows:
        return 1
    if not given.server:
        today = datetime.datetime.now(datetime.UTC).date()
        where = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
        left_out = "".join(f"- Left out: {name}: {reason}.\n" for name, reason in missing.items())
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(
            TEMPLATE.format(
                table=table(rows),
                missing=left_out + "\n" if left_out else "",
                run=f"{today}, {seconds / 60:.0f} minutes, sunsocket {sunsocket.__version__}, {where}.",
                checks="\n".join(f"- {title}" for title in checks.CHECKS),
            )
        )
        print(f"interop: {PAGE.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
