"""The benchmark's arithmetic and its pages. What it measures is no test's business."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.peers import CLIENTS, Client
from bench.peers.sample import Sample
from bench.report import Report
from bench.table import BEGIN, END, aligned, cheapness, missed, put_into_page, ratio, whole
from bench.workloads import WORKLOADS, Workload

from tests.counting.__main__ import MARKS

ROOT = Path(__file__).resolve().parent.parent


def sample(rate: float, cost: float = 1.0) -> Sample:
    """So many messages in a second, at so many microseconds each."""
    return Sample(1000, 1000 / rate, 1000 * cost / 1e6)


def report(**rates: list[Sample | None]) -> Report:
    """A run of one workload."""
    clients = [client for client in CLIENTS if client.name.replace("-", "_") in rates]
    workload = next(workload for workload in WORKLOADS if workload.name == "flood-64")
    about = {"date": "2000-01-01", "rounds": 3, "seconds": 0.3, "pinned": True, "cores": 2}
    about |= {"machine": "x86_64", "system": "Linux", "python": "3.11"}
    samples = {client.name: list(rates[client.name.replace("-", "_")]) for client in clients}
    return Report(about, [], clients, [workload], {"flood-64": samples})  # type: ignore[dict-item]


def cell(run: Report, name: str) -> str:
    """What the tables of details say of a client."""
    rows = [[text.strip() for text in line.split("|")[1:-1]] for line in whole(run).splitlines()]
    return next(row[1] for row in rows if row and row[0] == name)


def test_a_ratio_is_taken_inside_each_round() -> None:
    # A slow minute halves both sides of the second round, and the ratio stays what it is.
    ours, theirs = [sample(200), sample(100), sample(200)], [sample(100), sample(50), sample(100)]

    assert ratio(ours, theirs) == pytest.approx(2)
    assert ratio([sample(200), None, sample(100)], theirs) == pytest.approx(1.5)
    assert ratio([None, None, None], theirs) is None


def test_half_the_cpu_time_is_twice_as_cheap() -> None:
    assert cheapness([sample(1, cost=0.5)], [sample(1, cost=1.0)]) == pytest.approx(2)


def test_a_face_is_reported_that_is_behind_a_peer_or_far_from_the_limit() -> None:
    run = report(threads=[sample(50, 4)], threads_pull=[sample(150, 0.5)], picows=[sample(100)], c_block=[sample(160)])

    assert missed(run, run.workloads) == [
        "- `flood-64`: behind the best peer: threads (0.50 / 0.25); below 0.9 of the best face: threads (0.33 / 0.12); "
        "below 0.9 of the limit: threads (0.31 / 0.25)"
    ]


def test_scripts_are_compared_with_peers_for_scripts() -> None:
    run = report(luau=[sample(300)], picows=[sample(1000)], node_ws=[sample(100)])

    assert cell(run, "**luau**") == "300 1 µs **3.00** / 1.00"


def test_a_limit_is_no_peer() -> None:
    run = report(threads=[sample(100)], picows=[sample(50)], c_block=[sample(1000)])

    assert cell(run, "**threads**") == "100 1 µs **2.00** / 1.00"


def test_a_run_is_read_back_from_its_file(tmp_path: Path) -> None:
    run = report(threads=[sample(100), None], picows=[sample(50), sample(51)])
    file = tmp_path / "run.json"
    file.write_text(json.dumps(run.to_json()))

    assert Report.load(file) == run


def test_a_page_keeps_what_is_around_its_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    (tmp_path / "performance-rate.svg").touch()

    put_into_page(page, "new\n")

    shown = "![performance-rate](performance-rate.svg)"
    assert page.read_text() == f"before\n{BEGIN}\n\n{shown}\n\nnew\n\n{END}\nafter\n"


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")

    with pytest.raises(SystemExit, match="has no lines"):
        put_into_page(page, "new\n")


def test_the_page_on_performance_has_the_marks() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()

    marks = [text.index(mark) for mark in (BEGIN, END, *MARKS)]
    assert marks == sorted(marks)


def test_columns_of_a_table_stand_below_each_other() -> None:
    assert aligned([["a", "bb"], ["ccc", "d"]]) == "| a   | bb |\n| --- | -: |\n| ccc |  d |"


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_client_is_explained(client: Client) -> None:
    name = client.name
    for suffix in ("-no-poll", "-3.12", "-pull", "-sync", "-async"):
        name = name.removesuffix(suffix)

    assert f"`{name}`" in (ROOT / "bench" / "README.md").read_text()


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_each_workload_is_carried_out_by_somebody_else_too(workload: Workload) -> None:
    kinds = {client.kind for client in CLIENTS if client.can(workload)}

    assert {"ours", "peer"} <= kinds
    assert Workload.from_json(workload.to_json()) == workload
