"""What one question is, and what is wanted of them; no server."""

from __future__ import annotations

import pytest

from measure.bench import heads_served
from measure.loadtest.drive import Record


def answered(clip: str, scheduled: float, finished: float, error: str | None = None) -> Record:
    return Record(scheduled, scheduled, finished, 200, clip, 3.0, "http://a", error=error)


def test_a_question_is_as_late_as_its_last_answer_and_fails_with_any() -> None:
    records = [
        answered("a", 0.0, 1.0),
        answered("b", 0.0, 9.0, "too_busy"),
        answered("a", 0.0, 2.0),
        answered("a", 1.0, 5.0),
        answered("b", 0.0, 1.0),
        answered("a", 1.0, 4.0),
    ]
    found = heads_served.questions(records)
    assert [(each.clip, each.scheduled, each.finished, each.error) for each in found] == [
        ("a", 0.0, 2.0, None),
        ("b", 0.0, 9.0, "too_busy"),
        ("a", 1.0, 5.0, None),
    ]


@pytest.mark.parametrize(("capacity", "measured"), [(0.5, 4.0), (None, None)])
def test_what_is_judged(capacity: float | None, measured: float | None) -> None:
    found = {
        "arrangements": {
            heads_served.ONE: {"capacity": 2.0, "questions_per_second": [3.0, 1.0]},
            heads_served.FOUR: {"capacity": capacity, "questions_per_second": [1.0, 1.0]},
        }
    }
    slo, saturation = heads_served.verdicts(found)
    assert slo.measured == (None if measured is None else pytest.approx(measured))
    assert saturation.measured == pytest.approx(2.0)
