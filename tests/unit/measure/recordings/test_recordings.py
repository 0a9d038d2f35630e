"""Recordings joined from voices, their reference, and the errors of answers about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from measure import Unavailable
from measure.machine import describe
from measure.recordings import RESULTS, page
from measure.recordings.joined import KNOWN, STRANGERS, Joined, Turn, joined
from measure.recordings.scoring import Errors, rate, scored
from measure.results import save_json
from training import SAMPLE_RATE

VOICES = [
    (name, name, np.full(40 * SAMPLE_RATE, number, np.float32) / 100)
    for number, name in enumerate(["ann", "bob", "cleo", "dan", "eve", "flo", "gus", "hal"])
]


def test_the_reference_says_whose_samples_are_where() -> None:
    found = joined(VOICES[:4], VOICES[4:], 120.0, seed=3)
    value = {name: samples[0] for name, _, samples in VOICES}
    strangers = set()
    assert found.seconds == 120.0
    for turn in found.turns:
        samples = found.samples[round(turn.start * SAMPLE_RATE) : round(turn.end * SAMPLE_RATE)]
        assert np.ptp(samples) == 0
        if turn.label:
            assert samples[0] == value[turn.label]
        else:
            strangers.add(float(samples[0]))
    assert len({turn.label for turn in found.turns} - {None}) == KNOWN
    assert len(strangers) == STRANGERS
    assert [turn.start for turn in found.turns[1:]] == [turn.end for turn in found.turns[:-1]]


def test_a_seed_gives_the_same_recording_again() -> None:
    one, other = (joined(VOICES[:4], VOICES[4:], 30.0, seed=5) for _ in range(2))
    assert one.turns == other.turns
    np.testing.assert_array_equal(one.samples, other.samples)


def test_a_voice_that_is_too_short_is_not_heard() -> None:
    short = ("ivo", "ivo", np.full(29 * SAMPLE_RATE, 0.5, np.float32))
    assert all(joined([*VOICES[:3], short], VOICES[4:], 20.0, seed).samples.max() < 0.5 for seed in range(9))


def test_errors_are_pyannotes() -> None:
    """10 s of ann, 10 s of a stranger, 10 s of bob: computed by hand."""
    recording = Joined(
        np.zeros(30 * SAMPLE_RATE, np.float32), (Turn(0, 10, "ann"), Turn(10, 20, None), Turn(20, 30, "bob"))
    )
    answer = [
        {"start": 0, "end": 12, "label": "ann"},  # two of the stranger's seconds
        {"start": 12, "end": 21, "label": "unknown"},  # one of bob's
        {"start": 21, "end": 24, "label": "ann"},
        {"start": 24, "end": 30, "label": "bob"},
    ]
    try:
        (found,) = scored([recording], [answer], 0.0)
        (inside,) = scored([recording], [answer], 4.0)
    except Unavailable as exc:
        pytest.skip(f"no pyannote.metrics here: {exc}")
    assert found == Errors(total=20, correct=16, confusion=3, missed=1, false_alarm=2)
    # without 0–2, 8–12, 18–22 and 28–30
    assert inside == Errors(total=12, correct=10, confusion=2, missed=0, false_alarm=0)


def test_a_rate_is_of_the_known_voices_time() -> None:
    errors = [
        Errors(total=20, correct=16, confusion=3, missed=1, false_alarm=2),
        Errors(total=20, correct=20, confusion=0, missed=0, false_alarm=0),
    ]
    assert rate(errors, *page.ALL) == 0.15


RESULT = {
    "provenance": {"date": "2026-01-01", "machine": describe().model_dump()},
    "model": "demo",
    "scored_by": "pyannote.metrics 4.2.0",
    "recordings": 2,
    "seconds": 30.0,
    "least_inside": 10.0,
    "joined": {"turns": 5, "known": 40.0, "strangers": 20.0},
    "runs": [
        {
            "window": 3.0,
            "hop": 1.5,
            "errors": [
                {"total": 20, "correct": 16, "confusion": 3, "missed": 1, "false_alarm": 2},
                {"total": 20, "correct": 20, "confusion": 0, "missed": 0, "false_alarm": 0},
            ],
            "inside": [{"total": 12, "correct": 12, "confusion": 0, "missed": 0, "false_alarm": 0}] * 2,
        }
    ],
}


def test_the_page_says_what_was_measured_or_that_nothing_was(tmp_path: Path) -> None:
    text = page.text(tmp_path)
    for each in ("measure.recordings", "measure.recordings.decoding"):
        assert f"No result is recorded: `python -m {each}` records one." in text
    save_json(RESULT, tmp_path / RESULTS.name)
    assert "| 3 | 1.5 | 15.0% (0.0%–30.0%) | 7.5% | 2.5% | 5.0% | 10.0% | 0.0% |" in page.text(tmp_path)
