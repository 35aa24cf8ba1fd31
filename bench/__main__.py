"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from bench import environments, rounds, table
from bench.peers import CLIENTS, Client
from bench.server import SOURCE, compile_c, serve
from bench.workloads import WORKLOADS, Workload

BUILT = environments.ROOT / "target" / "bench"


def chosen(given: str, known: list[str], what: str) -> set[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"bench: no {what} is called {', '.join(unknown)}; there are {', '.join(known)}")
    return set(names or known)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures sunsocket and other WebSocket clients against one server, in interleaved rounds.",
        epilog="Progress goes to standard error, the table to standard output. Method and pitfalls: bench/README.md.",
    )
    names = ", ".join(workload.name for workload in WORKLOADS)
    parser.add_argument("--workloads", default="", metavar="A,B", help=f"only these (default: all): {names}")
    names = ", ".join(client.name for client in CLIENTS)
    parser.add_argument("--clients", default="", metavar="A,B", help=f"only these (default: all): {names}")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="samples of each (default: 3)")
    parser.add_argument("--seconds", type=float, default=0.3, metavar="S", help="length of a sample (default: 0.3)")
    parser.add_argument("--no-pin", action="store_true", help="leave client and server to the scheduler")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to FILE as well")
    given = parser.parse_args()
    if given.rounds < 1 or given.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    return given


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def usable(clients: list[Client]) -> tuple[list[Client], dict[str, Path], list[str]]:
    """The clients that can run, their interpreters, and what was left out and why."""
    kept, pythons, left_out = [], {}, []
    wanted = {client.environment for client in clients if client.kind != "limit"}
    prepared = {name: environments.prepare(name, say) for name in environments.REQUIREMENTS if name in wanted}
    for client in clients:
        environment = prepared.get(client.environment)
        package = client.name.removesuffix("-pull").removesuffix("-sync").removesuffix("-3.12")
        if client.kind == "limit" or environment is None:
            kept.append(client)
        elif environment.python is None:
            left_out.append(f"{client.name}: {environment.reason}")
        elif package in environment.missing:
            left_out.append(f"{client.name}: {package} could not be installed")
        else:
            kept.append(client)
            pythons[client.environment] = environment.python
    return kept, pythons, left_out


def heading(pinned: bool, given: argparse.Namespace) -> str:
    where = "server on core 1, client on core 0" if pinned else "not pinned"
    return (
        f"{given.rounds} rounds of {given.seconds:g} s, {where}; {os.cpu_count()} cores, {platform.machine()}, "
        f"Linux {platform.release()}, Python {platform.python_version()}.\n"
        "Messages per second, CPU µs per message, **rate as a multiple of the fastest peer's** / "
        "CPU cost: how many times less than the cheapest peer's."
    )


def main() -> None:
    given = arguments()
    names = chosen(given.workloads, [workload.name for workload in WORKLOADS], "workload")
    workloads: list[Workload] = [workload for workload in WORKLOADS if workload.name in names]
    names = chosen(given.clients, [client.name for client in CLIENTS], "client")
    clients, pythons, left_out = usable([client for client in CLIENTS if client.name in names])
    if not clients:
        raise SystemExit("bench: no client is left: " + "; ".join(left_out))
    cores = os.sched_getaffinity(0)
    pinned = not given.no_pin and {0, 1} <= cores
    server = compile_c(SOURCE, BUILT)
    limit = compile_c(Path(__file__).with_name("peers") / "limit.c", BUILT)
    with serve(server, 1 if pinned else None) as port:
        core = 0 if pinned else None
        plan = rounds.Plan(clients, workloads, given.rounds, given.seconds, port, core, pythons, limit)
        results = rounds.run(plan, say)
    text = heading(pinned, given) + "\n\n" + table.markdown(results, clients, workloads)
    text += "".join(f"\n\nLeft out: {line}." for line in left_out) + "\n"
    print(text, end="")
    if given.markdown:
        given.markdown.write_text(text)
    if given.json:
        samples = {w: {c: [s and s._asdict() for s in all_] for c, all_ in row.items()} for w, row in results.items()}
        about = {"rounds": given.rounds, "seconds": given.seconds, "pinned": pinned, "python": sys.version}
        given.json.write_text(json.dumps({"about": about, "left_out": left_out, "samples": samples}, indent=1))


if __name__ == "__main__":
    main()
