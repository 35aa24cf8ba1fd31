"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench import environments, programs, rounds, table
from bench.peers import CLIENTS, Client
from bench.programs import Program
from bench.report import Report
from bench.workloads import WORKLOADS, Workload

#: What ``--quick`` measures with: one round, short samples, few idle connections.
QUICK_SECONDS, QUICK_IDLE = 0.08, 500
#: Descriptors that a process needs beside those of its connections.
OTHER_DESCRIPTORS = 100


def chosen(given: str, known: list[str], what: str) -> set[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"bench: no {what} is called {', '.join(unknown)}; there are {', '.join(known)}")
    return set(names or known)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures sunsocket and other WebSocket clients against one server, in interleaved rounds.",
        epilog="Progress goes to standard error, the tables to standard output. Method and pitfalls: bench/README.md.",
    )
    add = parser.add_argument
    names = ", ".join(workload.name for workload in WORKLOADS)
    add("--workloads", default="", metavar="A,B", help=f"only these (default: all): {names}")
    names = ", ".join(client.name for client in CLIENTS)
    add("--clients", default="", metavar="A,B", help=f"only these (default: all): {names}")
    add("--rounds", type=int, default=3, metavar="N", help="samples of each (default: 3)")
    add("--seconds", type=float, default=0.3, metavar="S", help="length of a sample (default: 0.3)")
    add("--quick", action="store_true",
        help="under two minutes: fewer workloads and clients, one round of short samples, only environments that are "
        "there or quick to make")  # fmt: skip
    add("--lune", action="store_true",
        help="have cargo build Lune where it is not built yet; that takes some minutes, once")  # fmt: skip
    add("--no-pin", action="store_true", help="leave client and server to the scheduler")
    add("--json", type=Path, metavar="FILE", help="write every sample to FILE as well")
    add("--from-json", type=Path, metavar="FILE", help="measure nothing: take the samples of an earlier run from FILE")
    add("--markdown", type=Path, metavar="FILE", help="write the tables to FILE as well")
    add("--plots", type=Path, metavar="FOLDER", help="draw the figures into FOLDER as SVG")
    add("--page", type=Path, metavar="FILE", help="put the tables between the marks of this page, docs/performance.md")
    given = parser.parse_args()
    if given.rounds < 1 or given.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    if given.quick:
        given.rounds, given.seconds = 1, QUICK_SECONDS
    return given


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def wanted_workloads(given: argparse.Namespace, left_out: list[str]) -> list[Workload]:
    names = chosen(given.workloads, [workload.name for workload in WORKLOADS], "workload")
    wanted = [w for w in WORKLOADS if w.name in names and (given.workloads or w.quick or not given.quick)]
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = []
    for workload in wanted:
        most = min(QUICK_IDLE if given.quick else workload.connections, allowed - OTHER_DESCRIPTORS)
        if workload.shape == "idle" and most < workload.connections:
            if not given.quick:
                left_out.append(f"{workload.name}: {workload.connections - most} of its connections, for a process may "
                                f"have {allowed} descriptors (ulimit -Hn)")  # fmt: skip
            workload = replace(workload, connections=most)
        found.append(workload)
    return found


def prepare(
    clients: list[Client], given: argparse.Namespace
) -> tuple[dict[str, Path], dict[str, Program], dict[str, set[str]]]:
    """Interpreters, other programs with the reasons where there are none, and packages missing in an environment."""
    pythons, found, missing = {}, {"server": programs.server(), "server-tls": programs.tls_server()}, {}
    kinds = {client.environment for client in clients}
    for name in environments.REQUIREMENTS:
        if name in kinds:
            environment = environments.prepare(name, say, only_if_there=given.quick and name != "main")
            missing[name] = environment.missing
            if environment.python is not None:
                pythons[name] = environment.python
            found[name] = Program(environment.python, environment.reason)
    if any(client.module == "limit" for client in clients):
        found["limit"] = programs.limit()
    if "rust" in kinds:
        found["rust"] = programs.rust_limit()
    if "node" in kinds:
        found["node"] = programs.node(say)
    if "lune" in kinds:
        found["lune"] = programs.lune(say, given.lune)
    return pythons, found, missing


def measured(given: argparse.Namespace) -> Report:
    """A run of the benchmark."""
    left_out: list[str] = []
    workloads = wanted_workloads(given, left_out)
    names = chosen(given.clients, [client.name for client in CLIENTS], "client")
    clients = [c for c in CLIENTS if c.name in names and (given.clients or c.quick or not given.quick)]
    pythons, found, missing = prepare(clients, given)
    if found["server"].path is None:
        raise SystemExit(f"bench: {found['server'].reason}")
    kept = []
    for client in clients:
        program = found["limit" if client.module == "limit" else client.environment]
        package = client.name
        for suffix in ("-pull", "-sync", "-async", "-3.12"):
            package = package.removesuffix(suffix)
        if program.path is None:
            left_out.append(f"{client.name}: {program.reason}")
        elif package in missing.get(client.environment, ()):
            left_out.append(f"{client.name}: {package} could not be installed")
        else:
            kept.append(client)
    if not kept:
        raise SystemExit("bench: no client is left: " + "; ".join(left_out))
    if found["server-tls"].path is None:
        left_out.append(f"the workloads over TLS: {found['server-tls'].reason}")
        workloads = [workload for workload in workloads if not workload.tls]
    pinned = not given.no_pin and {0, 1} <= os.sched_getaffinity(0)
    paths = {name: program.path for name, program in found.items() if program.path is not None}
    plan = rounds.Plan(kept, workloads, given.rounds, given.seconds, pinned, pythons, paths)
    started = time.monotonic()
    results = rounds.run(plan, say)
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "rounds": given.rounds,
        "seconds": given.seconds,
        "took": round(time.monotonic() - started),
        "pinned": pinned,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"Linux {platform.release()}",
        "python": platform.python_version(),
    }
    return Report(about, left_out, kept, workloads, results)


def main() -> None:
    given = arguments()
    report = Report.load(given.from_json) if given.from_json else measured(given)
    text = table.whole(report)
    print(text, end="")
    if given.json:
        given.json.write_text(json.dumps(report.to_json(), indent=1))
    if given.markdown:
        given.markdown.write_text(text)
    if given.plots:
        environments.draw_plots(report.to_json(), given.plots, say)
    if given.page:
        table.put_into_page(given.page, text)


if __name__ == "__main__":
    main()
