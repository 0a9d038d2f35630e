from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from measure import MeasureError
from measure.autoscale import service as services
from measure.autoscale.batches import Batch, batches
from measure.loadtest.drive import Record
from tests.unit.measure.autoscale.services import service
from tests.unit.measure.loadtest.records import record


def answered(sent: float, finished: float, size: int, inference: float) -> Record:
    return record(sent, finished - sent, batch_size=size, inference_ms=inference, decode_ms=1.0)


def test_a_batch_lasts_from_the_former_one_s_answers() -> None:
    found = batches(
        [
            answered(0.0, 1.0, 1, 900.0),
            answered(0.2, 3.0, 2, 1900.0),
            answered(0.5, 3.0, 2, 1900.0),
            answered(5.0, 5.5, 1, 400.0),
        ]
    )
    assert [(len(it.clips), it.seconds, it.waited_for) for it in found] == [(2, 2.0, True), (1, 0.5, False)]


def test_a_group_that_is_not_whole_is_left_out_with_the_next() -> None:
    found = batches(
        [
            answered(0.0, 1.0, 1, 900.0),
            answered(0.2, 3.0, 2, 1900.0),  # its mate failed
            answered(0.5, 4.0, 1, 800.0),
            answered(0.6, 5.0, 1, 700.0),
        ]
    )
    assert [it.seconds for it in found] == [1.0]


def test_a_fit_finds_what_the_batches_were_made_of() -> None:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(400):
        clips = tuple(float(value) for value in rng.uniform(2, 30, rng.integers(1, 9)))
        waited_for = bool(rng.random() < 0.5)
        seconds = 0.05 + 0.01 * len(clips) + 0.08 * sum(clips)
        seconds += (0.005 if len(clips) < 8 else 0.0) + (0.0 if waited_for else 0.02)
        made.append(Batch(clips, seconds, waited_for))
    found = services.fit(made, delay=0.005, size=8)
    assert found["fixed"] == pytest.approx(0.05, rel=0.01)
    assert found["per_request"] == pytest.approx(0.01, rel=0.01)
    assert found["per_second"] == pytest.approx(0.08, rel=0.01)
    assert found["overhead"] == pytest.approx(0.02, rel=0.01)
    assert found["error"] < 1e-6


def test_too_few_batches_are_refused() -> None:
    with pytest.raises(MeasureError, match="3 whole batches"):
        services.fit([Batch((1.0,), 1.0, True)] * 3, 0.005, 8)


def test_noise_is_drawn_from_what_was_measured() -> None:
    made = service(noise=(0.5, 1.0, 3.0))
    drawn = made.draw(np.random.default_rng(0), 100_000)
    assert np.quantile(drawn, [0.25, 0.5, 0.75]) == pytest.approx([0.75, 1.0, 2.0], rel=0.02)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = service(noise=(0.9, 1.0, 1.2))
    services.write(made, {"date": "today"}, tmp_path)
    assert services.read("model", tmp_path) == (made, {"date": "today"})
    with pytest.raises(MeasureError, match=r"autoscale[.]measure"):
        services.read("other", tmp_path)
