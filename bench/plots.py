"""The figures as pictures: ``python -m bench.plots FOLDER`` reads the JSON of a run from standard input.

It runs in an environment of its own that has matplotlib. Bars are ratios, on a scale on which twice and half are
equally far from 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # after the choice of what draws

from bench.peers import CLIENTS
from bench.report import Report
from bench.table import best, cheapness, faces, ratio

#: Bright enough on white, and told apart by those who see few colours.
COLOURS = (
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#9fd3c0",
    "#e69f00",
    "#f0c466",
    "#cc79a7",
    "#e3b7d0",
    "#d55e00",
    "#f2b48c",
    "#555555",
)
#: Text stays text, and the same samples give the same file.
pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "sunsocket", "font.size": 9})


def save(figure: Any, folder: Path, name: str) -> None:
    figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    print(f"bench: wrote {folder / name}.svg", file=sys.stderr)


def draw_ratios(
    report: Report, folder: Path, name: str, title: str, quotient: Callable[..., float | None], at: int
) -> None:
    """One row for each workload, one bar for each face of ours and for the limit; 1 is the best peer."""
    workloads = [w for w in report.workloads if w.has_rate and best(report, w, "peer", script=False)]
    ours = faces(report)
    if not workloads or not ours:
        return
    series: list[tuple[str, list[float]]] = []
    for face in ours:
        bars = []
        for workload in workloads:
            row, champions = report.results[workload.name], best(report, workload, "peer", face.script)
            found = quotient(row[face.name], row[champions[at]]) if champions and face.name in row else None
            bars.append(found or 1)
        series.append((face.name, bars))
    limit = []
    for workload in workloads:
        row, champions = report.results[workload.name], best(report, workload, "peer", script=False)
        fastest = best(report, workload, "limit", script=False)
        limit.append((quotient(row[fastest[at]], row[champions[at]]) if fastest and champions else None) or 1)
    series.append(("limit", limit))
    figure, axes = pyplot.subplots(figsize=(8, 0.32 * len(workloads) * len(series) * 0.45 + 1))
    height = 0.85 / len(series)
    for number, (label, bars) in enumerate(series):
        rows = [index + number * height for index in range(len(workloads))]
        colour = COLOURS[-1] if label == "limit" else COLOURS[number % len(COLOURS)]
        axes.barh(rows, [bar - 1 for bar in bars], height, left=1, label=label, color=colour)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks([index + 0.4 for index in range(len(workloads))], [workload.name for workload in workloads])
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1)
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    save(figure, folder, name)


def draw_holdings(report: Report, folder: Path, name: str, shape: str, key: str, title: str) -> None:
    """One bar for each client, for one figure of what a process holds; the same over TLS beside it."""
    found: list[tuple[str, list[tuple[str, float]]]] = []
    for workload in report.workloads:
        if workload.shape == shape:
            row = report.results[workload.name]
            bars = [
                (client.name, median(sample[key] for sample in row[client.name] if isinstance(sample, dict)))
                for client in report.clients
                if any(isinstance(sample, dict) for sample in row.get(client.name, ()))
            ]
            found.append((workload.name, bars))
    found = [(over, bars) for over, bars in found if bars]
    if not found:
        return
    figure, every = pyplot.subplots(
        1, len(found), figsize=(4.5 * len(found), 0.25 * len(found[0][1]) + 1), squeeze=False
    )
    kinds = {client.name: client.kind for client in CLIENTS}
    for axes, (over, bars) in zip(every[0], found, strict=True):
        colours = [COLOURS[0] if kinds[client] == "ours" else COLOURS[-1] for client, _ in bars]
        axes.barh([client for client, _ in bars], [value for _, value in bars], color=colours)
        axes.invert_yaxis()
        axes.set_title(f"{over}: {title}")
        axes.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    save(figure, folder, name)


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0])
    report = Report.from_json(json.load(sys.stdin))
    draw_ratios(report, folder, "performance-rate", "Rate, as a multiple of the fastest peer's", ratio, 0)
    draw_ratios(
        report, folder, "performance-cpu", "CPU time per message: times less than the cheapest peer", cheapness, 1
    )
    draw_holdings(report, folder, "performance-memory", "idle", "bytes", "bytes for each open connection")
    draw_holdings(report, folder, "performance-import", "import", "ms", "milliseconds")


if __name__ == "__main__":
    main(sys.argv[1:])
