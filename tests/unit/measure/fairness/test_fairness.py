"""What a run of a greedy caller beside others shows, and the page about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from measure.fairness import page
from measure.fairness.callers import CONDITIONS, GREEDY, Callers
from measure.fairness.traffic import Run, figures
from measure.loadtest import LoadTestError
from measure.loadtest.drive import Record
from measure.results import save_json
from serving.gateway import tokens

SHARE, TEN, UNLIMITED = CONDITIONS


def record(scheduled: float, latency: float = 0.1, status: int = 200, error: str | None = None) -> Record:
    return Record(scheduled, scheduled, scheduled + latency, status, "clip", 3.0, "url", error=error)


def test_the_file_has_a_token_for_everybody_and_the_greedy_callers_share(tmp_path: Path) -> None:
    callers = Callers.made(tmp_path / "tokens", 4, 2.0)
    callers.write(limited=True)
    assert tokens.read(callers.file).each == (callers.greedy, *callers.others)
    assert len({callers.greedy, *callers.others}) == 4
    assert f"{callers.greedy} name={GREEDY} requests=2 requests_burst=2\n" in callers.file.read_text()
    callers.write(limited=False)
    assert f"{callers.greedy} name={GREEDY} requests=unlimited\n" in callers.file.read_text()


def test_a_run_counts_what_the_greedy_caller_got_and_how_long_the_others_waited() -> None:
    others = [record(second, 0.1 + second / 1000) for second in range(100)]
    others.append(record(100, error="timeout", status=0))
    spent = [record(1.0)] * 20  # of its burst, before anything is counted
    greedy = [
        *spent,
        record(2.0),
        record(2.5, status=429, error="rate_limited"),
        record(3.0, status=500, error="x"),
        record(4.0),
    ]
    found = figures(2, TEN, 3, others, greedy)
    assert (found.sent, found.answered, found.refused, found.failed) == (1.5, 1.0, 0.5, 2)
    assert (found.latencies[:3], found.latencies[-1]) == ((100.0, 100.0, 101.0), 199.0)


def test_a_run_without_a_greedy_caller_says_nothing() -> None:
    with pytest.raises(LoadTestError, match="next to nothing"):
        figures(2, TEN, 1, [record(0.0)], [record(0.0), record(3.0)])


def run(condition: str, number: int, *latencies: float) -> Run:
    return Run(2, condition, number, 40.0, 4.0, 36.0, latencies, 1)


RUNS = [
    *(run(SHARE, 1, 10, 20, 100), run(TEN, 1, 10, 30, 150), run(UNLIMITED, 1, 40, 60, 400)),
    *(run(SHARE, 2, 20, 30), run(TEN, 2, 30, 30), run(UNLIMITED, 2, 60, 600)),
]


def test_percentiles_are_of_all_rounds_and_ratios_have_an_interval_that_draws_rounds() -> None:
    rows = {row[1]: row for row in page.table(RUNS).rows}
    assert rows[SHARE] == ["2", SHARE, "40.0", "4.0", "36.0", "20", "100", "1", "1", "2"]
    # the medians of 10 20 20 30 100 and of 10 30 30 30 150; of either round alone it is 30 to 20
    assert rows[TEN][5:] == ["30", "150", "1.50 (1.50–1.50)", "1.50 (1.00–1.50)", "2"]
    assert rows[UNLIMITED][5:9] == ["60", "600", "3.00 (3.00–3.00)", "6.00 (4.00–20.00)"]


def test_a_run_is_kept_as_it_was() -> None:
    assert [Run.of(each.row()) for each in RUNS] == RUNS


def test_the_page_says_where_and_with_what_each_server_was_measured(tmp_path: Path) -> None:
    assert page.text(tmp_path) == "No result is recorded: `python -m measure.fairness` records one."
    machine = {
        "commit": "0" * 12,
        "dirty": False,
        "cpu": "a processor",
        "cpu_flags": "",
        "cores": 2,
        "versions": "torch 2",
    }
    content: dict[str, Any] = {
        "provenance": {"date": "2026-01-02T03:04:05Z", "machine": machine},
        "foreign_cores": 0.5,
        "settings": {"server": "torchserve", "rounds": 2, "seconds": 15.0, "others": 10.0, "share": 4.0},
        "runs": [each.row() for each in RUNS],
    }
    save_json({"torchserve": content}, tmp_path / page.RESULTS.name)
    told = page.text(tmp_path)
    assert (
        "### torchserve\n\n2026-01-02, a processor, 2 cores; torch 2; commit 000000000000; 2 rounds of 15 s"
        in told
    )
    assert "kept 0.50 cores busy" in told
