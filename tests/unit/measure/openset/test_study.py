"""The study, of voices whose embeddings are made up: who is enrolled, who is a stranger, and what is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from measure.openset import heard, identification, page, plot
from measure.openset.answers import Answers
from measure.openset.conditions import ONE, WAYS
from measure.openset.cuts import MOST, Audio, Cuts, Voiced
from measure.openset.heard import Heard
from measure.openset.study import study
from measure.openset.verification import logistic, pairs
from measure.results import save_json
from training import SAMPLE_RATE
from training.voices import LABELS

DIM = 24


def voiced(person: str, direction: int, seconds: float = 40, key: str = "") -> Voiced:
    """Samples that say by their value whose they are."""
    return person, key or person, np.full(int(seconds * SAMPLE_RATE), direction, np.float32)


def model(waveforms: NDArray[np.float32]) -> Answers:
    """Each direction is a person; what has none is noise."""
    rng = np.random.default_rng(len(waveforms))
    vectors = 0.15 * rng.standard_normal((len(waveforms), DIM))
    for row, waveform in zip(vectors, waveforms, strict=True):
        if waveform[0] == waveform[-1] and 0 <= waveform[0] < DIM and waveform[0] % 1 == 0:
            row[int(waveform[0])] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pooled = torch.from_numpy(vectors).float()
    return Answers(5 * pooled[:, : len(LABELS)], pooled, vectors)


@pytest.fixture(scope="module")
def audio() -> Audio:
    named = [voiced(label, index) for index, label in enumerate(LABELS)]
    calibration = [voiced(f"c{index}", index) for index in range(6, 12)]
    new = [voiced(f"n{index}", index, key="two" if index > 18 else "") for index in range(12, 20)]
    return Audio(named, named, calibration, new, new, new)


def test_cuts_are_neighbours_of_equal_length_at_most_so_many_a_person() -> None:
    samples = np.arange(100 * SAMPLE_RATE, dtype=np.float32)
    cuts = Cuts.of([("a", "k", samples), ("b", "k", samples[: SAMPLE_RATE // 2])], 1)
    assert cuts.people == ("a",) * MOST  # the other has less than a second
    assert cuts.waveforms.shape == (MOST, SAMPLE_RATE)
    assert all(row[-1] - row[0] == SAMPLE_RATE - 1 for row in cuts.waveforms)
    assert cuts.waveforms[-1, -1] == samples[-1]


def test_people_who_may_be_one_are_never_compared_as_two() -> None:
    clips = [voiced("a", 0, 3, "k"), voiced("b", 1, 3, "k"), voiced("c", 2, 3)]
    _, same, other = pairs(Heard.of(model, clips, 3), Heard.of(model, clips, 3))
    assert same.tolist() == np.eye(3, dtype=bool).tolist()
    assert other.tolist() == [[False, False, True], [False, False, True], [True, True, False]]


def test_a_log_likelihood_ratio_is_fitted() -> None:
    rng = np.random.default_rng(0)
    slope, offset = logistic(rng.normal(0.6, 0.1, 5000), rng.normal(0.2, 0.1, 5000))
    assert slope == pytest.approx(40, rel=0.15)  # (0.6 − 0.2) / 0.1²
    assert -offset / slope == pytest.approx(0.4, abs=0.01)


def test_the_whole_study_is_drawn_and_written(
    audio: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heard, "DRAWS", 5)
    monkeypatch.setattr(identification, "GALLERIES", 5)
    found = study(audio, model)
    three = found["lengths"]["3"]
    assert three["never_heard"]["eer"]["value"] < 0.02
    assert three["gallery"]["detected"]["value"] > 0.95
    assert three["gallery"]["false_alarms"]["value"] < 0.05
    assert three["guard"]["max_logit"]["auroc"]["value"] > 0.9
    assert found["sounds"]["digital silence"]["clips"] == 1
    ways = found["conditions"]["ways"]
    assert list(ways) == list(WAYS)
    assert ways[ONE]["eer_change"] == {"value": 0, "low": 0, "high": 0}
    machine = {"commit": "c", "dirty": False, "cpu": "x", "cpu_flags": "", "cores": 2, "versions": "v"}
    provenance = {"date": "2026-01-01", "machine": machine}
    save_json(
        {"model": "made-up", "galleries": 5, "provenance": provenance, **found}, tmp_path / "openset.json"
    )
    plot.det(found, tmp_path / "det.png")
    plot.reliability(found, tmp_path / "reliability.png")
    text = page.text(tmp_path)
    assert "at least 8 of them different" in text or "at least 7 of them different" in text
    assert text.count("| 8 s |") == 4 + len(page.GUARDS)


def test_the_page_is_what_the_recorded_study_says() -> None:
    assert page.PAGE.path.read_text("utf-8") == page.PAGE.filled(page.text(page.FOLDER))
