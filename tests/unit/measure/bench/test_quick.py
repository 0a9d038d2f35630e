"""The harness itself, end to end: real processes, real rounds, the demo model and three clips."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from measure import Unavailable
from measure.bench import RESULTS, environments, worker
from measure.bench.contest import EncoderContest, WorkPlan, agreement, difference
from measure.bench.encoder import main
from measure.bench.engines import (
    BASE,
    CONTESTANTS,
    HF_ONE,
    NAMES,
    ONE_BY_TWO,
    PEERS,
    ZENTORCH_FP32,
    Contestant,
    Engine,
    Loaded,
    able,
    choose,
)
from measure.bench.loaders import LOADERS
from measure.bench.results import (
    ENCODER_FILE,
    GROWTH_FILE,
    AbsentRow,
    BenchmarkRow,
    GrowthRow,
    absent_rows,
    in_a_cell,
)
from measure.bench.team import Team, variables
from measure.bench.team import results as results_of
from measure.bench.worker import Turn, answer, batches
from measure.command import process
from measure.results import read


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    committed = RESULTS / ENCODER_FILE
    before = committed.read_bytes() if committed.exists() else None
    assert main(["--quick", "--results", str(folder)]) == 0
    assert (committed.read_bytes() if committed.exists() else None) == before
    return folder


def test_a_quick_run_measures_ours_against_the_reference(results: Path) -> None:
    base, ours = read(results / ENCODER_FILE, BenchmarkRow)
    assert (base.engine, base.ratio_same_layout, base.max_logit_difference) == ("hf-one", 1.0, 0.0)
    assert (ours.engine, ours.layout) == ("packed-fp32", "2×1")
    assert ours.max_logit_difference < 1e-4
    assert ours.top1_agreement == 1.0
    assert ours.throughput > 0
    assert ours.latency_3s is not None
    assert ours.latency_3s < 60
    assert 50 < ours.peak_mb < 20_000


def test_a_quick_run_never_counts_as_complete(results: Path) -> None:
    assert not any(row.complete for row in read(results / ENCODER_FILE, BenchmarkRow))


def test_a_row_says_what_it_ran_on(results: Path) -> None:
    row = read(results / ENCODER_FILE, BenchmarkRow)[0]
    assert row.cores == len(os.sched_getaffinity(0))
    assert "torch" in row.versions
    assert row.clips.startswith("3 clips of ")
    assert row.peak_gflops > row.gflops > 0


def test_growth_and_plots_are_written(results: Path) -> None:
    assert [row.clip_seconds for row in read(results / GROWTH_FILE, GrowthRow)] == [1.0, 5.0]
    for name in ("throughput.png", "growth.png"):
        assert (results / name).read_bytes().startswith(b"\x89PNG")


def test_no_process_is_left(results: Path) -> None:
    assert multiprocessing.active_children() == []


def test_an_unknown_engine_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "hf-one,warp-drive"])
    assert "warp-drive: not one of hf-one," in capsys.readouterr().err


def test_the_reference_always_takes_part() -> None:
    chosen = choose(CONTESTANTS, ["packed-bf16"])
    assert chosen[0] == BASE
    assert {it.engine.name for it in chosen[1:]} == {"packed-bf16"}


def test_a_processor_without_bf16_is_measured_without_it() -> None:
    names = {it.engine.name for it in able(CONTESTANTS, ["fp32", "int8"], held=False)}
    assert {name for name in NAMES if "bf16" in name} == set(NAMES) - names
    assert "packed-bf16-alone" not in names


def test_other_software_cannot_be_held_to_avx2_and_takes_no_part_there() -> None:
    names = {it.engine.name for it in able(CONTESTANTS, ["fp32", "bf16", "int8"], held=True)}
    others = ("onnxruntime", "openvino", "inductor", "torchao", "zentorch")
    assert {name for name in NAMES if name.startswith(others)} == set(NAMES) - names == PEERS


def test_every_engine_has_its_loader() -> None:
    assert {it.engine.loader for it in CONTESTANTS} == set(LOADERS)
    assert len(NAMES) == 23


def test_every_environment_has_a_peer_that_needs_it() -> None:
    assert {it.engine.packages for it in CONTESTANTS} == {*environments.names(), ""}
    assert all(it.engine.peer for it in CONTESTANTS if it.engine.packages)


@pytest.mark.parametrize("name", environments.names())
def test_every_requirement_is_pinned(name: str) -> None:
    lines = (environments.REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    assert lines
    assert all(re.match(r"[\w-]+==[\d.]+( *[;#].*)?$", line) for line in lines)


def test_a_peer_that_cannot_be_installed_takes_no_part_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(name: str) -> str:
        raise Unavailable(f"pip cannot install it: ERROR: no matching distribution found for {name}")

    monkeypatch.setattr(environments, "packages", refuse)
    said: list[str] = []
    missing = Contestant(ZENTORCH_FP32, ONE_BY_TWO, "glibc")
    with EncoderContest(WorkPlan([], [], {}, {}, 16_000), tmp_path, said.append) as contest:
        contest.enter([missing])
    (row,) = absent_rows(contest, {"run": "now"})
    assert row == AbsentRow(name=str(missing), reason=contest.absent[missing], run="now")
    assert "no matching distribution found for zentorch" in row.reason
    assert said[-1] == f"skipped {missing}: {row.reason}"


def test_a_reason_names_no_folder_of_this_machine_and_is_one_line() -> None:
    said = "cannot import name 'x'\n(/home/me/build/site-packages/x.py), see https://example.org/a/b"
    assert in_a_cell(said) == "cannot import name 'x' (x.py), see https://example.org/a/b"


def test_no_two_contestants_are_the_same() -> None:
    assert len({str(it) for it in CONTESTANTS}) == len(CONTESTANTS)


def test_answers_come_in_the_order_of_the_clips_whatever_the_batches() -> None:
    seen: list[list[int]] = []

    def encode(waveforms: Sequence[np.ndarray]) -> np.ndarray:
        seen.append([len(it) for it in waveforms])
        return np.array([[len(it)] for it in waveforms], np.float32)

    clips = [np.zeros(length, np.float32) for length in (5, 1, 4, 2, 3)]
    by_length = Engine("any", "any", "fp32", batch=2, by_length=True)
    assert answer(encode, Turn(by_length, clips)).tolist() == [[5], [1], [4], [2], [3]]
    assert seen == [[1, 2], [3, 4], [5]]


def test_batches_keep_the_given_order_unless_asked() -> None:
    assert batches([9, 1, 5], 2, by_length=False) == [[0, 1], [2]]


def test_an_allocator_that_is_missing_skips_the_contestant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(Unavailable, match=r"jemalloc is not installed here; .* apt install libjemalloc2"):
        variables(Contestant(HF_ONE, ONE_BY_TWO, "jemalloc"))


def test_a_worker_that_cannot_load_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    """A folder that holds no checkpoint."""
    team = Team(BASE, tmp_path)
    with pytest.raises(Unavailable, match=r"manifest\.json"):
        team.__enter__()
    assert multiprocessing.active_children() == []


def test_a_worker_gives_a_librarys_reason_without_the_librarys_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Strange(Exception):
        """As a library's own: the process that starts the worker cannot import it."""

    def fail(*_: object) -> Loaded:
        raise Strange("no rule for aten::mT")

    monkeypatch.setitem(LOADERS, "failing", fail)
    with pytest.raises(Unavailable, match=r"^Strange: no rule for aten::mT$"):
        worker.load("failing", tmp_path, 1, "glibc", "")
    monkeypatch.setattr(worker.Here, "loaded", Loaded(fail, "it"), raising=False)
    monkeypatch.setattr(worker.Here, "turn", Turn(HF_ONE, [np.zeros(3, np.float32)]), raising=False)
    with pytest.raises(Unavailable, match=r"^Strange: no rule for aten::mT$"):
        worker.work()


def test_a_worker_that_dies_is_reported(tmp_path: Path) -> None:
    with (
        process() as pool,
        pytest.raises(Unavailable, match=r"BrokenProcessPool: A process .* terminated abruptly"),
    ):
        results_of([pool.submit(os._exit, 1)])


def test_difference_is_relative_to_the_clips_largest_logit() -> None:
    reference = {0: np.array([4.0, -8.0]), 1: np.array([1.0, 2.0])}
    found = {0: np.array([4.0, -7.0]), 1: np.array([1.5, 2.0])}
    assert difference(found, reference) == 0.25


def test_agreement_counts_clips_with_the_same_best_label() -> None:
    reference = {0: np.array([1.0, 0.0]), 1: np.array([1.0, 0.0])}
    assert agreement({0: np.array([9.0, 8.0]), 1: np.array([0.0, 1.0])}, reference) == 0.5
