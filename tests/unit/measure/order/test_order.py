"""What single clips beside long work show, and the page about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from measure.loadtest.drive import Record
from measure.order import page
from measure.order.sounds import MANY, RATE, Sounds, lasting
from measure.order.traffic import Bulk, Run, figures
from measure.results import save_json


def record(latency: float, error: str | None = None) -> Record:
    return Record(1.0, 1.0, 1.0 + latency, 200, "clip", 3.0, "url", error=error)


def test_a_run_counts_all_audio_that_was_answered() -> None:
    bulk = Bulk("url", b"", {}, 2, seconds=192.0, failed=1)
    found = figures(page.SPLIT, 3, [record(0.2), record(0.1), record(9.0, "timeout")], bulk, 9.0)
    assert found == Run(page.SPLIT, 3, (100.0, 200.0), 22.0, 2)
    assert figures(page.ALONE, 1, [record(0.5)], None, 3.0).throughput == 1.0


def run(condition: str, number: int, throughput: float, *latencies: float) -> Run:
    return Run(condition, number, latencies, throughput, 0)


RUNS = [
    run(page.ALONE, 1, 3, 10, 20),
    run(page.WHOLE, 1, 100, 100, 200),
    run(page.SPLIT, 1, 98, 20, 40),
    run(page.ALONE, 2, 3, 10, 20),
    run(page.WHOLE, 2, 100, 100, 400),
    run(page.SPLIT, 2, 100, 20, 60),
]
COSTS: list[dict[str, Any]] = [
    {"kind": page.SINGLE, "round": 1, "cpu": 0.1, "throughput": 20.0, "peak": 1_000_000_000},
    {"kind": page.LONG, "round": 1, "cpu": 0.12, "throughput": 18.0, "peak": 2_000_000_000},
    {"kind": page.IN_WINDOWS, "round": 1, "cpu": 0.105, "throughput": 19.0, "peak": 1_900_000_000},
]


def test_latencies_are_compared_with_those_beside_nothing_and_throughput_with_that_of_whole_requests() -> (
    None
):
    rows = {row[0]: row for row in page.table(RUNS).rows}
    assert rows[page.ALONE] == [page.ALONE, "10", "20", "1", "3.0", "", "0"]
    assert rows[page.WHOLE] == [page.WHOLE, "100", "400", "20.00 (10.00–20.00)", "100.0", "", "0"]
    assert rows[page.SPLIT] == [page.SPLIT, "20", "60", "3.00 (2.00–3.00)", "99.0", "0.99 (0.98–1.00)", "0"]
    assert page.RECORDING not in rows


def test_cost_is_in_units_of_single_clips_and_memory_of_one_long_clip() -> None:
    rows = page.cost_table(COSTS).rows
    assert rows[2] == [page.IN_WINDOWS, "105.0", "1.05", "19.0", "1900", "0.95"]


def test_a_run_is_kept_as_it_was() -> None:
    assert [Run.of(json.loads(json.dumps(each.row()))) for each in RUNS] == RUNS


def test_the_page_says_where_each_server_was_measured(tmp_path: Path) -> None:
    assert page.text(tmp_path) == "No result is recorded: `python -m measure.order` records one."
    machine = {
        "commit": "0" * 12,
        "dirty": False,
        "cpu": "a processor",
        "cpu_flags": "",
        "cores": 2,
        "versions": "x",
    }
    content: dict[str, Any] = {
        "provenance": {"date": "2026-01-02T03:04:05Z", "machine": machine},
        "foreign_cores": 0.5,
        "settings": {"model": "demo", "rounds": 2, "seconds": 20.0, "rate": 4.0, "recording": 3600.0},
        "runs": [each.row() for each in RUNS],
        "costs": COSTS,
    }
    save_json({"torchserve": content}, tmp_path / "order.json")
    text = page.text(tmp_path)
    assert "### torchserve" in text
    assert "a recording of 3600 s" in text


@pytest.mark.parametrize("seconds", [0.5, 7.0])
def test_sounds_last_as_long_as_is_asked(seconds: float) -> None:
    assert len(lasting(np.ones(RATE * 2, np.float32), seconds)) == seconds * RATE


def test_what_is_sent_is_made_of_the_folder_s_clips(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(RATE), RATE)
    sounds = Sounds.write(tmp_path, tmp_path, 10.0)
    assert len(json.loads(sounds.many)["instances"]) == MANY
    assert soundfile.info(sounds.clips[0].path).duration == 3.0
    assert len(sounds.recording) == 44 + 10 * RATE * 2
