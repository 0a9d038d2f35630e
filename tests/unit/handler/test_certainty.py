"""How sure answers are, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from speaker_id.certainty import AT_ONCE, Certainty, certainties


def test_a_coin_that_falls_three_times_in_four() -> None:
    ((found,),) = certainties([torch.tensor([0.0, math.log(3)])], {})
    assert found.surprise == pytest.approx(math.log(4 / 3), rel=1e-6)
    assert found.margin == pytest.approx(0.5, rel=1e-6)
    assert found.entropy == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3), rel=1e-6)


def test_a_guess_is_as_surprising_as_there_are_labels() -> None:
    ((found,),) = certainties([torch.full((8,), 5.0)], {})
    assert (found.surprise, found.margin) == pytest.approx((math.log(8), 0), abs=1e-6)
    assert found.entropy == pytest.approx(math.log(8), rel=1e-6)


def test_certainty_is_zero_and_finite() -> None:
    ((found,),) = certainties([torch.tensor([0.0, 1e5, 0.0])], {})
    assert found == Certainty(0.0, 1.0, 0.0)


def test_every_head_counts_by_itself() -> None:
    row = torch.tensor([0.0, 0.0, 0.0, math.log(3)])
    ((first, second),) = certainties([row], {"a": 2, "b": 2})
    assert (first.margin, second.margin) == pytest.approx((0, 0.5), abs=1e-6)


def test_one_label_alone_is_certain() -> None:
    assert certainties([torch.tensor([7.0])], {}) == [(Certainty(0.0, 1.0, 0.0),)]


def test_no_clip_has_none() -> None:
    assert certainties([], {}) == []


def test_a_head_that_was_not_computed_has_none() -> None:
    row = torch.tensor([0.0, 0.0, 0.0, math.log(3)])
    ((found,),) = certainties([row], {"a": 2, "b": 2}, {"a"})
    assert found.margin == pytest.approx(0.5, rel=1e-6)
    assert certainties([row, row], {"a": 2, "b": 2}, {"a", "b"}) == [(), ()]


def test_clips_of_any_number_have_their_own() -> None:
    rows = [torch.tensor([0.0, float(index)]) for index in range(2 * AT_ONCE + 1)]
    alone = [of_clip.surprise for row in rows for (of_clip,) in certainties([row], {})]
    assert [of_clip.surprise for (of_clip,) in certainties(rows, {})] == pytest.approx(alone)
