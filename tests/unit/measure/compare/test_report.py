"""The report says what the rows say, and the committed document says what the committed CSVs say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from measure.bench.null_server import KINDS
from measure.compare import RESULTS, model_servers
from measure.compare.contenders import NAMES
from measure.compare.cost import Cost
from measure.compare.cost import row as cost_row
from measure.compare.model_servers import cost, of_cost, of_overhead, overhead
from measure.compare.overhead import OverheadTimes
from measure.compare.overhead import row as overhead_row
from measure.compare.report import PAGE, main, text
from measure.compare.report import report as reported
from measure.compare.results import CONTENDERS_FILE, ContenderRow, StepRow
from measure.compare.targets import verdicts
from measure.document import END, Page
from measure.results import append
from tests.unit.measure.compare.rows import row, step

RUN = {"model": "a", "clips": "b", "run": "c", "complete": True, "commit": "d", "dirty": False}
RUN |= {"cpu": "e", "cpu_flags": "f", "cores": 2, "versions": "g"}


def report(rows: Sequence[ContenderRow], steps: Sequence[StepRow]) -> str:
    return reported(rows, steps, NAMES, verdicts(rows), "")


@pytest.mark.parametrize(
    ("page", "written"),
    [(PAGE, text), (model_servers.PAGE, model_servers.text)],
    ids=["compare", "model servers"],
)
def test_the_document_is_the_newest_complete_runs(page: Page, written: Callable[[Path], str]) -> None:
    assert page.path.read_text("utf-8") == page.filled(written(RESULTS)), f"run python -m {page.command}"


def test_the_fastest_comes_first_and_ours_are_bold() -> None:
    written = report([row("litserve-padded", "4"), row("ours-fp32", "12", capacity=1.25)], [])
    table = [line for line in written.splitlines() if "1000 MB" in line]
    assert table[0].startswith("| **ours-fp32** | 8 | 1×2 | 12.0 | 1.25 |")
    assert table[1].startswith("| litserve-padded | 8 | 1×2 | 4.0 |  |")


def test_a_peer_that_could_not_be_measured_is_named_with_the_reason() -> None:
    written = report(
        [row("ours-fp32", "12"), row("ray-padded", "", absent="pip cannot install it", right=False)], []
    )
    assert "- `ray-padded` was not measured: pip cannot install it" in written
    assert "| ray-padded |" not in written
    assert "- `mlserver-alone` was not measured: it took no part in this run" in written


def test_latencies_have_their_number_of_requests_and_a_load_above_saturation_says_so() -> None:
    steps = [
        step("ours-fp32", 0.25, 0.5, 1.5),
        step("ours-fp32", 0.5, 0.75, math.inf),
        step("ours-fp32", None, 9, 9),
        step("ours-bf16", 0.8, 0.5, 1.5),
    ]
    written = report([row("ours-fp32", "12")], steps)
    assert "| ours-fp32 | 0.50 / 1.50 (30) | 0.75 / ∞ (30) | above its saturation |" in written


def test_without_a_capacity_of_ours_there_are_no_shares_of_it() -> None:
    assert "above its saturation" not in report([row("ours-fp32", "12")], [step("ours-fp32", None, 9, 9)])


def test_a_target_is_met_or_missed_by_its_own_measure() -> None:
    rows = [row("ours-fp32", "12", capacity=1.0), row("fastapi-pipeline", "5", capacity=0.6)]
    written = report(rows, [])
    assert "| ours-fp32 against fastapi-pipeline | capacity | ≥ 2× | 1.67× | missed |" in written
    assert "| ours-fp32 against fastapi-pipeline | saturation | ≥ 2× | 2.4× | met |" in written


def test_overhead_is_the_median_of_neighbours_and_judged() -> None:
    measured = OverheadTimes(
        [10.0, 10.0, 20.0],
        [9.0, 9.8, 19.8],
        [0.270, 0.280, 0.300],
        [0.250, 0.270, 0.281],
        [0.256, 0.275, 0.290],
        [0.251, 0.268, 0.283],
    )
    made = overhead_row("torchserve", "fp32", measured, 100.0, RUN)
    assert (made.served, made.kept, made.lone_added, made.grpc_added) == pytest.approx(
        (10.0, 0.98, 0.019, 0.006)
    )
    assert "| torchserve | fp32 | 10.0 | 10.2 | 98.0% | 270 ms | +19 ms | +6 ms | 268 ms |" in overhead(
        [made]
    )
    assert [it.met for it in of_overhead([made])] == [True, False]
    # of Triton more is wanted, and its gRPC counts
    assert [it.met for it in of_overhead([made.model_copy(update={"server": "triton"})])] == [True, True]


def test_processor_time_is_the_median_over_the_rounds_and_judged_by_grpc() -> None:
    used = dict.fromkeys(KINDS, 0.0)
    rounds = [used | {"gateway": 0.5, "Triton": 0.25 * number, "worker": 1.0} for number in (1, 2, 9)]
    measured = Cost([100.0, 300.0, 200.0], [9.0, 8.0, 7.0], rounds)
    rows = [cost_row("triton", way, measured, {**RUN, "foreign_cores": 0.0}) for way in ("bytes", "grpc")]
    assert "| triton | gRPC | **2.00** | 0.50 | 0.50 | 1.00 | 0.00 | 200 | 8.0 |" in cost(rows)
    (verdict,) = of_cost(rows)
    assert verdict.met


def test_a_partial_run_is_not_quoted(tmp_path: Path) -> None:
    append(tmp_path / CONTENDERS_FILE, [row("ours-fp32", "12", complete=False)])
    assert text(tmp_path).startswith("No complete run is committed")


def test_main_writes_between_the_markers_and_nowhere_else(tmp_path: Path) -> None:
    append(tmp_path / CONTENDERS_FILE, [row("ours-fp32", "12.34")])
    document = tmp_path / "compare.md"
    document.write_text(f"before\n{PAGE.begin}\nold\n{END}\nafter\n")
    assert main(["--results", str(tmp_path), "--document", str(document)]) == 0
    written = document.read_text()
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "12.3" in written
    assert "old" not in written
