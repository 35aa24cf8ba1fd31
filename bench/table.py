"""From samples to a table: medians, and ratios within each round.

A ratio is the median of the rounds' own ratios, not the ratio of two medians: what slows the machine for a while slows
both sides of a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.peers import Client
from bench.peers.sample import Sample
from bench.rounds import Results
from bench.workloads import Workload

Samples = list[Sample | None]


def rate(sample: Sample) -> float:
    return sample.messages / sample.seconds


def cost(sample: Sample) -> float:
    """Microseconds of CPU time per message."""
    return sample.cpu / sample.messages * 1e6


def middle(samples: Samples) -> tuple[float, float] | None:
    """Median rate and median cost, where there is a sample."""
    there = [sample for sample in samples if sample is not None]
    return (median(map(rate, there)), median(map(cost, there))) if there else None


def ratio(samples: Samples, to: Samples) -> float | None:
    """How many times the rate of ``to``, in the middle round."""
    pairs = [(a, b) for a, b in zip(samples, to, strict=True) if a is not None and b is not None]
    return median(rate(a) / rate(b) for a, b in pairs) if pairs else None


def cheapness(samples: Samples, to: Samples) -> float | None:
    """How many times less CPU time per message than ``to``, in the middle round."""
    pairs = [(a, b) for a, b in zip(samples, to, strict=True) if a is not None and b is not None]
    return median(cost(b) / cost(a) for a, b in pairs) if pairs else None


def best(results: dict[str, Samples], clients: Sequence[Client]) -> tuple[str | None, str | None]:
    """The peers with the highest rate and with the lowest cost."""
    middles = {c.name: m for c in clients if c.kind == "peer" and (m := middle(results[c.name]))}
    if not middles:
        return None, None
    return max(middles, key=lambda name: middles[name][0]), min(middles, key=lambda name: middles[name][1])


def number(value: float) -> str:
    """Three digits and a unit."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g}"


def times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def markdown(results: Results, clients: Sequence[Client], workloads: Sequence[Workload]) -> str:
    """Rows are clients, columns workloads; a cell is rate, CPU µs per message, and both as ratios to the best peer."""
    lines = ["| client | " + " | ".join(w.name for w in workloads) + " |", "| --- |" + " ---: |" * len(workloads)]
    champions = {w.name: best(results[w.name], clients) for w in workloads}
    for client in clients:
        cells = []
        for workload in workloads:
            samples = results[workload.name]
            there = middle(samples[client.name])
            if there is None:
                cells.append("–")
                continue
            fastest, cheapest = champions[workload.name]
            cell = f"{number(there[0])} {there[1]:.3g} µs"
            if fastest and cheapest:
                mine = samples[client.name]
                cell += f" **{times(ratio(mine, samples[fastest]))}**"
                cell += f" / {times(cheapness(mine, samples[cheapest]))}"
            cells.append(cell)
        name = f"**{client.name}**" if client.kind == "ours" else client.name
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for what, at in (("fastest peer", 0), ("cheapest peer", 1)):
        lines.append(f"| *{what}* | " + " | ".join(champions[w.name][at] or "–" for w in workloads) + " |")
    return "\n".join(lines)
