"""What heads cost that share a pass: the arrangements, without the processes that they are measured in."""

from __future__ import annotations

from pathlib import Path

import pytest
from speaker_id import kernels

from bundle import archive
from measure.bench import heads
from measure.machine import describe
from tests.doubles.demo import demo_speaker

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(
    ("arrangement", "encoders", "models"),
    [(heads.ONE, 1, 1), (heads.SHARED, 1, 4), (heads.APART, 4, 1), (heads.VOICE, 1, 5)],
)
def test_each_arrangement_answers(
    arrangement: str, encoders: int, models: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "bound_caches", lambda: None)
    folder = archive.prepare(demo_speaker(), tmp_path)
    assert "packed encoder" in heads.load(arrangement, folder)
    assert len(heads.Here.encoders) == encoders
    encoder = getattr(heads.Here.encoders[0], "__self__", heads.Here.encoders[0])
    assert (len(encoder.heads), len(encoder.mixtures)) == (models, min(models, 4))
    taken = heads.answer((1.0, 0.5), 1)
    assert taken.seconds > 0
    assert taken.peak > 1e6


def arranged(rates: dict[str, list[float]], megabytes: dict[str, float]) -> dict[str, object]:
    return {
        name: {
            "audio_seconds_per_second": rates[name],
            "lone_ms": [5.0, 6.0],
            "peak_mb": [megabytes[name]] * 2,
        }
        for name in rates
    }


def test_a_run_is_judged_by_the_ratios_within_its_rounds() -> None:
    """The second round was twice as slow for all: it says the same."""
    rates = {
        heads.ONE: [10.0, 5.0],
        heads.SHARED: [9.8, 4.9],
        heads.APART: [2.5, 1.25],
        heads.VOICE: [9.0, 4.5],
    }
    found = {
        "machine": describe().model_dump(),
        "model": "demo",
        "backend": "packed",
        "rounds": 2,
        "clips": 8,
        "arrangements": arranged(rates, dict.fromkeys(rates, 100.0)),
    }
    assert [each.measured for each in heads.verdicts(found)] == pytest.approx([0.98, 1.0, 3.92])
    assert all(each.met for each in heads.verdicts(found))
    assert all(name in heads.table(found) for name in heads.ENCODERS)
