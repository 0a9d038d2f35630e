"""What a run of a greedy caller beside others shows, and the page about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from measure.fairness import page
from measure.fairness.__main__ import main
from measure.fairness.callers import CONDITIONS, GREEDY, Callers
from measure.fairness.traffic import FairnessRun, Load, figures
from measure.loadtest import LoadTestError
from measure.loadtest.drive import Record
from measure.loadtest.phases import GUARD_SECONDS, Phase, by_turns
from measure.loadtest.target import Clip
from serving.gateway import tokens
from tests.unit.measure.loadtest.comparisons import told

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


def test_a_phase_counts_what_the_greedy_caller_got_and_how_long_the_others_waited() -> None:
    phase = Phase(TEN, 3, start=10.0, seconds=GUARD_SECONDS + 2.0)
    first = 10.0 + GUARD_SECONDS
    outside = [record(first - 0.1, 9.0), record(first + 2.0, 9.0)]
    others = [*outside, record(first, 0.1), record(first + 1.9, 0.2), record(first, 0.3, 0, "timeout")]
    greedy = [
        *outside,
        record(first),
        record(first + 0.5, status=429, error="rate_limited"),
        record(first + 1.0, status=500, error="x"),
        record(first + 1.5),
    ]
    found = figures(2, phase, others, greedy)
    assert (found.sent, found.answered, found.refused, found.failed) == (2.0, 1.0, 0.5, 2)
    assert (found.condition, found.round, found.latencies) == (TEN, 3, (100.0, 200.0, 300.0))
    with pytest.raises(LoadTestError, match="next to nothing"):
        figures(2, phase, others, outside)


def test_the_greedy_caller_sends_at_the_rate_of_each_phase(tmp_path: Path) -> None:
    callers = Callers.made(tmp_path / "tokens", 9, 2.0)
    load = Load("url", [Clip("clip", tmp_path / "clip", 1.0, "audio/wav")], 20.0)
    order = by_turns(SHARE, TEN, 2, 5.0, UNLIMITED, 1)
    greedy = load._greedy(callers, order, 17.0)
    counts = [
        sum(phase.start <= shot.time < phase.start + phase.seconds for shot in greedy.shots)
        for phase in order
    ]
    assert (greedy.begin, counts) == (17.0, [10, 100, 100, 10, 100])


def run(condition: str, number: int, *latencies: float) -> FairnessRun:
    return FairnessRun(condition, number, latencies, 1, 2, 40.0, 4.0, 36.0)


RUNS = [
    *(run(SHARE, 1, 10, 20, 100), run(TEN, 1, 10, 30, 150), run(UNLIMITED, 1, 40, 60, 400)),
    *(run(SHARE, 2, 20, 30), run(TEN, 2, 30, 30), run(UNLIMITED, 2, 60, 600)),
]


def test_percentiles_are_of_all_rounds_and_ratios_have_an_interval_that_draws_rounds() -> None:
    rows = {row[1]: row for row in page.table(RUNS).rows}
    assert rows[SHARE] == ["2", SHARE, "40.0", "4.0", "36.0", "20", "100", "1", "1", "", "2"]
    # the medians of 10 20 20 30 100 and of 10 30 30 30 150; of either round alone it is 30 to 20
    assert rows[TEN][5:] == ["30", "150", "1.50 (1.50–1.50)", "1.50 (1.00–1.50)", "undecided", "2"]
    # nothing is asked of what has no limit
    assert rows[UNLIMITED][5:10] == ["60", "600", "3.00 (3.00–3.00)", "6.00 (4.00–20.00)", ""]


def test_a_ratio_is_over_the_rounds_that_have_both() -> None:
    rows = {row[1]: row for row in page.table([*RUNS[:2], *RUNS[3:]]).rows}
    assert rows[UNLIMITED][7:9] == ["3.00 (3.00–3.00)", "20.00 (20.00–20.00)"]
    assert UNLIMITED not in {row[1] for row in page.table(RUNS[:2]).rows}


def test_the_page_says_with_what_each_server_was_measured(tmp_path: Path) -> None:
    settings = {"server": "torchserve", "rounds": 2, "seconds": 15.0, "others": 10.0, "share": 4.0}
    text = told(page.COMPARISON, tmp_path, settings, RUNS)
    assert text.startswith("### torchserve\n")
    assert "2 rounds of phases of 15 s, in which the others send 10 requests a second together" in text


def test_a_greedy_caller_needs_another_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--tokens", "1", "2"])
    assert "at least 2: the greedy caller's and another's" in capsys.readouterr().err
