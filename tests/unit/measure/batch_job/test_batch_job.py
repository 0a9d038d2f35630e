"""A batch job that is paused and killed beside live callers, and the page about it."""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from measure.batch_job import page
from measure.batch_job.job import Job, Kept, archive, kept
from measure.batch_job.traffic import CONDITIONS, Conductor, JobRun, figures, rounds
from measure.loadtest import LoadTestError
from measure.loadtest.drive import Record
from measure.loadtest.phases import GUARD_SECONDS, Phase, by_turns
from serving.host.polling import wait_until
from tests.unit.measure.loadtest.comparisons import told

PAUSED, RUNS = CONDITIONS
WRITES = """
import sys, time
while True:
    with open(sys.argv[1], "a") as file:
        file.write("{}\\n")
    time.sleep(0.005)
"""


@pytest.fixture
def job(tmp_path: Path) -> Any:
    made = Job(tmp_path / "archive", tmp_path / "answers", "url", "demo")
    made._command = [sys.executable, "-c", WRITES, str(tmp_path / "answers")]
    yield made
    made.kill()


def test_a_job_is_paused_resumed_killed_and_started_again(job: Job) -> None:
    def goes_on() -> bool:
        before = job.lines()
        return wait_until(lambda: job.lines() > before + 2, 600)

    assert (job.running, job.kill(), job.lines()) == (False, False, 0)
    for _ in range(2):
        job.resume()
        assert goes_on()
        job.pause()
        time.sleep(0.05)
        paused = job.lines()
        time.sleep(0.1)
        assert job.lines() == paused
        job.resume()
        assert goes_on()
        assert job.kill()
        assert not job.running


def test_it_runs_in_its_phases_alone_and_is_killed_once(job: Job) -> None:
    order = by_turns(PAUSED, RUNS, 3, 0.2)
    conductor = Conductor(job, order, time.monotonic())
    conductor.run()
    gained = [after - before for before, after in itertools.pairwise(conductor.lines)]
    assert max(count for count, phase in zip(gained, order, strict=True) if phase.condition == PAUSED) <= 1
    assert gained[-1] > 1, "round 3 ends with the job"
    assert conductor.killed_at is not None
    assert len(conductor.lines) == 7


def test_the_file_of_answers_is_judged_clip_by_clip(tmp_path: Path) -> None:
    recordings = [tmp_path / name for name in ("one.wav", "two.wav")]
    of = archive(tmp_path / "archive", recordings, 5)
    assert of == {f"00000{number}.wav": number % 2 for number in range(5)}
    assert (tmp_path / "archive" / "000003.wav").readlink() == recordings[1]
    labels = [(0, "ann"), (1, "bob"), (2, "bob"), (1, "bob")]
    records: list[Any] = [
        {"clip": f"00000{number}.wav", "labels": [{"label": label}, {"label": "other"}]}
        for number, label in labels
    ]
    records.append({"clip": "000003.wav", "error": "x", "code": "x"})
    answers = tmp_path / "answers"
    answers.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    expected = {name: ["ann", "bob"][which] for name, which in of.items()}
    assert kept(answers, expected) == Kept(clips=4, repeated=1, failed=1, wrong=1)


def test_a_phase_counts_live_requests_after_its_guard() -> None:
    phase = Phase(RUNS, 2, 10.0, GUARD_SECONDS + 1.0)
    first = 10.0 + GUARD_SECONDS
    records = [
        Record(scheduled, scheduled, scheduled + 0.25, 200, "clip", 1.0, "url", error=error)
        for scheduled, error in ((first - 0.1, None), (first, None), (first + 0.5, "x"), (first + 1.0, None))
    ]
    assert figures(phase, records, 12.34) == JobRun(RUNS, 2, (250.0, 250.0), 1, 12.3)
    with pytest.raises(LoadTestError, match="next to nothing"):
        figures(phase, records[:1], 0.0)


def test_rounds_count_while_the_job_has_clips_left() -> None:
    order = by_turns(PAUSED, RUNS, 3, 4.5)  # paused, runs; runs, paused; paused, runs
    assert rounds(order, [0, 0, 40, 80, 80, 80, 99], 100) == {1, 2, 3}
    assert rounds(order, [0, 0, 40, 80, 80, 80, 100], 100) == {1, 2}
    assert rounds(order, [0, 0, 60, 100, 100, 100, 100], 100) == {1}


def test_the_page_compares_phases_and_says_what_became_of_the_job(tmp_path: Path) -> None:
    runs = [
        *(JobRun(PAUSED, 1, (10.0, 20.0), 0, 0.0), JobRun(RUNS, 1, (10.0, 21.0), 0, 30.0)),
        *(JobRun(RUNS, 2, (20.0, 42.0), 1, 20.0), JobRun(PAUSED, 2, (20.0, 40.0), 0, 0.0)),
    ]
    assert page.table(runs).rows == [
        [PAUSED, "0.0", "4", "20", "40", "1", "1", "", "0"],
        [RUNS, "25.0", "4", "20", "42", "1.00 (1.00–1.00)", "1.05 (1.05–1.05)", "yes", "1"],
    ]
    settings = {"server": "triton", "clips": 10_000, "clip": 1.0, "rounds": 2, "seconds": 4.5, "live": 15.0}
    result = {
        "killed_at": 4000,
        "seconds": 300.2,
        "paused": 90.0,
        "kept": {"clips": 10_000, "repeated": 0, "failed": 0, "wrong": 0},
    }
    text = told(page.COMPARISON, tmp_path, settings, runs, job=result)
    assert text.startswith("### A batch job on triton\n")
    assert (
        "2 rounds of phases of 4.5 s, in which live callers send 15 requests a second; clips of 1 s." in text
    )
    assert text.endswith(
        "The job of 10,000 clips was killed at 4,000 answers and started again; it took 300 s in all, of which it was "
        "paused 90 s. 10,000 clips have an answer, 0 more than one, 0 an error, and 0 another label than alone."
    )
    assert "not killed: it had ended" in page.job(10_000, {**result, "killed_at": None})
