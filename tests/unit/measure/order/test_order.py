"""What single clips beside long work show, and the page about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import soundfile
from speaker_id.clip import SAMPLING_RATE

from bundle.samples import samples
from measure.loadtest.drive import Record
from measure.order import page
from measure.order.sounds import IN_WINDOWS, LONG, MANY, SINGLE, Sounds
from measure.order.traffic import ALONE, RECORDING, SPLIT, WHOLE, Bulk, OrderRun, figures
from tests.unit.measure.loadtest.comparisons import told


def record(latency: float, error: str | None = None) -> Record:
    return Record(1.0, 1.0, 1.0 + latency, 200, "clip", 3.0, "url", error=error)


def test_a_run_counts_all_audio_that_was_answered() -> None:
    bulk = Bulk("url", b"", {}, 2, seconds=192.0, failed=1)
    found = figures(SPLIT, 3, [record(0.2), record(0.1), record(9.0, "timeout")], bulk, 9.0)
    assert found == OrderRun(SPLIT, 3, (100.0, 200.0), 2, 22.0)
    assert figures(ALONE, 1, [record(0.5)], None, 3.0).throughput == 1.0


def run(condition: str, number: int, throughput: float, *latencies: float) -> OrderRun:
    return OrderRun(condition, number, latencies, 0, throughput)


RUNS = [
    run(ALONE, 1, 3, 10, 20),
    run(WHOLE, 1, 100, 100, 200),
    run(SPLIT, 1, 98, 20, 40),
    run(ALONE, 2, 3, 10, 20),
    run(WHOLE, 2, 100, 100, 400),
    run(SPLIT, 2, 100, 20, 60),
]
COSTS: list[dict[str, Any]] = [
    {"kind": SINGLE, "round": 1, "cpu": 0.1, "throughput": 20.0, "peak": 1_000_000_000},
    {"kind": LONG, "round": 1, "cpu": 0.12, "throughput": 18.0, "peak": 2_000_000_000},
    {"kind": IN_WINDOWS, "round": 1, "cpu": 0.105, "throughput": 19.0, "peak": 1_900_000_000},
]


def test_latencies_are_compared_with_those_beside_nothing_and_throughput_with_that_of_whole_requests() -> (
    None
):
    rows = {row[0]: row for row in page.table(RUNS).rows}
    assert rows[ALONE] == [ALONE, "10", "20", "1", "3.0", "", "0"]
    assert rows[WHOLE] == [WHOLE, "100", "400", "20.00 (10.00–20.00)", "100.0", "", "0"]
    assert rows[SPLIT] == [SPLIT, "20", "60", "3.00 (2.00–3.00)", "99.0", "0.99 (0.98–1.00)", "0"]
    assert RECORDING not in rows


def test_cost_is_in_units_of_single_clips_and_memory_of_one_long_clip() -> None:
    rows = page.cost_table(COSTS).rows
    assert rows[2] == [IN_WINDOWS, "105.0", "1.05", "19.0", "1900", "0.95"]


def test_the_page_says_with_what_each_server_was_measured(tmp_path: Path) -> None:
    settings = {"server": "torchserve", "model": "demo", "rounds": 2, "seconds": 20.0, "rate": 4.0}
    settings["recording"] = 3600.0
    text = told(page.COMPARISON, tmp_path, settings, RUNS, costs=COSTS)
    assert text.startswith("### torchserve\n")
    assert "a recording of 3600 s. " in text
    assert text.endswith(str(page.cost_table(COSTS)))


def test_a_larger_model_has_a_part_of_its_own_and_may_be_measured_without_a_recording(tmp_path: Path) -> None:
    settings = {"server": "torchserve", "model": "build/full-size", "rounds": 2, "seconds": 20.0, "rate": 4.0}
    text = told(page.COMPARISON, tmp_path, {**settings, "recording": 0.0}, RUNS, costs=[])
    assert text.startswith("### torchserve, full-size\n")
    assert "the model full-size, 2 rounds of 20 s a run, 4 single clips a second. " in text
    assert text.endswith(str(page.table(RUNS)))


def test_what_is_sent_is_made_of_the_samples(tmp_path: Path) -> None:
    sounds = Sounds.write(tmp_path, 10.0)
    assert len(json.loads(sounds.many)["instances"]) == MANY
    assert len(sounds.clips) == len(samples())
    assert {soundfile.info(clip.path).duration for clip in sounds.clips} == {3.0}
    assert len(sounds.recording) == 44 + 10 * SAMPLING_RATE * 2
