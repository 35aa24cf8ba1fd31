"""From samples to tables: medians, and ratios within each round.

A ratio is the median of the rounds' own ratios, not the ratio of two medians: what slows the machine for a while slows
both sides of a round. Python clients are compared with peers for Python, scripts with peers for scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from bench.peers import Client
from bench.peers.sample import Sample
from bench.report import Report
from bench.rounds import Result
from bench.workloads import Workload

Samples = Sequence[Result | None]
#: Between these lines of a page the tables stand.
BEGIN, END = (
    '<!-- figures: written by `make bench BENCH="--page docs/performance.md"` -->',
    "<!-- end of the figures -->",
)


def rate(sample: Sample) -> float:
    return sample.messages / sample.seconds


def cost(sample: Sample) -> float:
    """Microseconds of CPU time per message."""
    return sample.cpu / sample.messages * 1e6


def middle(samples: Samples) -> tuple[float, float] | None:
    """Median rate and median cost, where there is a sample."""
    there = [sample for sample in samples if isinstance(sample, Sample)]
    return (median(map(rate, there)), median(map(cost, there))) if there else None


def compare(samples: Samples, to: Samples, quotient: Callable[[Sample, Sample], float]) -> float | None:
    """The quotient of the middle round."""
    pairs = [(a, b) for a, b in zip(samples, to, strict=True) if isinstance(a, Sample) and isinstance(b, Sample)]
    return median(quotient(a, b) for a, b in pairs) if pairs else None


def ratio(samples: Samples, to: Samples) -> float | None:
    """How many times the rate of ``to``."""
    return compare(samples, to, lambda a, b: rate(a) / rate(b))


def cheapness(samples: Samples, to: Samples) -> float | None:
    """How many times less CPU time per message than ``to``."""
    return compare(samples, to, lambda a, b: cost(b) / cost(a))


def best(report: Report, workload: Workload, kind: str, script: bool) -> tuple[str, str] | None:
    """The clients of this kind with the highest rate and with the lowest cost."""
    row = report.results[workload.name]
    middles = {
        client.name: found
        for client in report.clients
        if client.kind == kind and client.script == script and (found := middle(row.get(client.name, ())))
    }
    if not middles:
        return None
    return max(middles, key=lambda name: middles[name][0]), min(middles, key=lambda name: middles[name][1])


def number(value: float) -> str:
    """Three digits and a unit."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g}"


def times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown that can be read as plain text, too; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.rjust(width) if at else text.ljust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(cells) + " |")
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]])


def bold(client: Client) -> str:
    return f"**{client.name}**" if client.kind == "ours" else client.name


def group(workload: Workload) -> str:
    if workload.tls:
        return "Over TLS"
    if workload.shape == "connect" or workload.deflate:
        return "Compression, connections"
    if workload.shape == "send":
        return "Sends"
    if workload.shape == "flood" or workload.in_flight > 1 or workload.connections > 1:
        return "Pipelines and floods"
    return "Round trips"


def details(report: Report, workloads: Sequence[Workload]) -> str:
    """Rows are clients, columns workloads; a cell is rate, CPU µs per message, and both as ratios to the best peer."""
    rows = [["client", *(workload.name for workload in workloads)]]
    for client in report.clients:
        cells = [detail(report, workload, client) for workload in workloads]
        if set(cells) != {"–"}:
            rows.append([bold(client), *cells])
    for script, kind in ((False, "peer"), (True, "peer for scripts")):
        champions = [best(report, workload, "peer", script) for workload in workloads]
        for what, at in ((f"fastest {kind}", 0), (f"cheapest {kind}", 1)):
            if any(champions):
                rows.append([f"*{what}*", *(found[at] if found else "–" for found in champions)])
    return aligned(rows)


def detail(report: Report, workload: Workload, client: Client) -> str:
    row = report.results[workload.name]
    mine = row.get(client.name, ())
    there = middle(mine)
    if there is None:
        return "–"
    cell = f"{number(there[0])} {there[1]:.3g} µs"
    if champions := best(report, workload, "peer", client.script):
        fastest, cheapest = champions
        cell += f" **{times(ratio(mine, row[fastest]))}** / {times(cheapness(mine, row[cheapest]))}"
    return cell


#: What is compared: a client twice, or the fastest and the cheapest of several.
Pair = tuple[str, str]


def gains(report: Report, workload: Workload, mine: Pair, to: Pair) -> tuple[float, float] | None:
    """How many times the rate, and how many times less CPU time."""
    row = report.results[workload.name]
    if mine[0] not in row or mine[1] not in row:
        return None
    faster, cheaper = ratio(row[mine[0]], row[to[0]]), cheapness(row[mine[1]], row[to[1]])
    return (faster, cheaper) if faster is not None and cheaper is not None else None


def faces(report: Report) -> list[Client]:
    """The clients of ours that stand for a face of their own."""
    return [client for client in report.clients if client.kind == "ours" and not client.again]


def summary(report: Report, workloads: Sequence[Workload], kind: str) -> str:
    """Rows are workloads, columns our faces; a cell is rate and CPU time as ratios to the best of that kind."""
    ours = faces(report)
    rows = [["workload", *(face.name for face in ours)]]
    rows[0] += ["limit", "best peer", "best peer for scripts"] if kind == "peer" else ["limit"]
    for workload in workloads:
        limits = best(report, workload, "limit", script=False)
        # A limit is one for scripts, too.
        to = {script: best(report, workload, kind, script) if kind == "peer" else limits for script in (False, True)}
        columns = [((face.name, face.name), to[face.script]) for face in ours]
        cells = [cell(gains(report, workload, mine, best_) if best_ else None) for mine, best_ in columns]
        names = [", ".join(dict.fromkeys(found)) if found else "–" for found in to.values()]
        if kind == "peer":
            above = gains(report, workload, limits, peers) if limits and (peers := to[False]) else None
            rows.append([workload.name, *cells, cell(above), *names])
        elif limits:
            rows.append([workload.name, *cells, names[0]])
    return aligned(rows)


def cell(found: tuple[float, float] | None) -> str:
    return "–" if found is None else f"**{times(found[0])}** / {times(found[1])}"


def holdings(report: Report, workloads: Sequence[Workload]) -> str:
    """Rows are clients; columns what a process holds or uses: memory, the cost of importing, of being at rest."""
    columns: list[tuple[Workload, str]] = []
    for workload in workloads:
        samples = [s for row in report.results[workload.name].values() for s in row if isinstance(s, dict)]
        columns += [(workload, name) for name in (samples[0] if samples else {})]
    rows = [["client", *(f"{workload.name}: {name}" for workload, name in columns)]]
    for client in report.clients:
        cells = []
        for workload, name in columns:
            there = [s[name] for s in report.results[workload.name].get(client.name, []) if isinstance(s, dict)]
            cells.append(f"{median(there):,.1f}" if there else "–")
        if set(cells) - {"–"}:
            rows.append([bold(client), *cells])
    return aligned(rows)


def missed(report: Report, workloads: Sequence[Workload]) -> list[str]:
    """Where the goals are missed: a line for each workload.

    A face is to be ahead of every peer, at 0.9 of the limit and at 0.9 of the best face, each in rate or in CPU time.
    """
    lines = []
    for workload in workloads:
        goals: list[tuple[str, float, dict[bool, Pair | None]]] = []
        for what, least, kind in (("behind the best peer", 1.0, "peer"), ("below 0.9 of the best face", 0.9, "ours")):
            goals.append((what, least, {script: best(report, workload, kind, script) for script in (False, True)}))
        limits = best(report, workload, "limit", script=False)
        goals.append(("below 0.9 of the limit", 0.9, {False: limits, True: limits}))
        said = []
        for what, least, to in goals:
            found = {
                face.name: gains(report, workload, (face.name, face.name), best_)
                for face in faces(report)
                if (best_ := to[face.script])
            }
            short = [
                f"{name} ({times(of[0])} / {times(of[1])})" for name, of in found.items() if of and max(of) < least
            ]
            said += [f"{what}: {', '.join(short)}"] if short else []
        if said:
            lines.append(f"- `{workload.name}`: {'; '.join(said)}")
    return lines


def heading(report: Report) -> str:
    about = report.about
    where = "server on core 1, client on core 0" if about["pinned"] else "not pinned"
    return (
        f"{about['date']}: {about['rounds']} rounds of {about['seconds']:g} s, {where}; {about['cores']} cores, "
        f"{about['machine']}, {about['system']}, Python {about['python']}."
    )


def whole(report: Report) -> str:
    """Everything: the summary, what is missed, the details, what processes hold, and what was left out."""
    rates = [w for w in report.workloads if w.has_rate and report.results[w.name]]
    held = [w for w in report.workloads if not w.has_rate and report.results[w.name]]
    parts = [heading(report)]
    if rates:
        parts += [
            "**Rate as a multiple of the fastest peer's** / CPU time per message: how many times less than the "
            "cheapest peer's.",
            summary(report, rates, "peer"),
            "The same as shares of the limit.",
            summary(report, rates, "limit"),
        ]
        goals = missed(report, rates)
        parts += ["### Goals that are missed (rate / CPU)", "\n".join(goals) if goals else "None."]
        for name in dict.fromkeys(map(group, rates)):
            parts += [f"### {name}", details(report, [w for w in rates if group(w) == name])]
    if held:
        parts += ["### What a process holds and uses", holdings(report, held)]
    text = "\n\n".join(parts)
    return text + "".join(f"\n\nLeft out: {line}." for line in report.left_out) + "\n"


def put_into_page(page: Path, text: str) -> None:
    """Puts the figures on a page; the pictures that lie beside the page are shown first."""
    pictures = "".join(f"![{shown.stem}]({shown.name})\n\n" for shown in sorted(page.parent.glob("performance-*.svg")))
    put_between(page, (BEGIN, END), pictures + text)


def put_between(page: Path, marks: tuple[str, str], text: str) -> None:
    """Replaces what stands between two lines of a page."""
    begin, end = marks
    before, found, rest = page.read_text().partition(begin)
    _, found_too, after = rest.partition(end)
    if not found or not found_too:
        raise SystemExit(f"bench: {page} has no lines {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
