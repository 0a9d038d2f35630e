"""What rankings say, against values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from measure.evaluation.corpus import LabelledClip
from measure.evaluation.counts import Answered, compare, condition, mcnemar, share, speakers
from measure.evaluation.journal import Entry


def answered(speaker: str, *labels: str, failed: bool = False, name: str = "1") -> Answered:
    ranking = [(label, 1.0 / (rank + 2)) for rank, label in enumerate(labels)]
    error = ("timed_out", "no answer") if failed else None
    return Answered(LabelledClip(name, Path(name), speaker), Entry(name, "as recorded", 1, ranking, error))


@pytest.mark.parametrize(
    ("right", "clips", "low", "high"),
    [
        # (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.959964, z² = 3.841459
        (8, 10, 0.490162, 0.943318),  # (0.8 + 0.192073 ± 1.959964 · √(0.016 + 0.0096036)) / 1.384146
        (0, 10, 0.0, 0.277533),  # z²/n / (1 + z²/n) = 0.384146 / 1.384146
        (16, 16, 0.806392, 1.0),  # 1 / (1 + 0.240091)
    ],
)
def test_the_interval_is_wilsons(right: int, clips: int, low: float, high: float) -> None:
    found = share(right, clips)
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-6)
    assert found.value == right / clips


@pytest.mark.parametrize(
    ("lost", "gained", "p_value"),
    [(0, 0, 1.0), (5, 0, 2 / 32), (0, 5, 2 / 32), (4, 1, 2 * 6 / 32), (3, 3, 1.0)],
)
def test_paired_changes_are_judged_by_the_coin(lost: int, gained: int, p_value: float) -> None:
    assert mcnemar(lost, gained) == pytest.approx(p_value)


def test_against_a_published_share_by_the_exact_binomial_test() -> None:
    # 9 or 10 of 10 at one half: 11 ways of 1024, and as many on the other side
    found = compare(share(9, 10), 0.5, "VoxCeleb1 test", "somebody")
    assert found.p_value == pytest.approx(22 / 1024)
    assert found.difference == pytest.approx(0.4)
    assert found.significant
    assert not compare(share(8, 10), 0.5, "", "").significant  # 2 · 56 / 1024 = 0.109


def test_a_difference_of_the_size_that_voxceleb_can_show() -> None:
    assert not compare(share(6200, 8251), 0.7518, "", "").significant  # 75.14 %
    assert compare(share(6100, 8251), 0.7518, "", "").significant  # 73.93 %


def test_top_5_counts_the_fifth_and_not_the_sixth() -> None:
    fifth, sixth = answered("f", "a", "b", "c", "d", "f"), answered("f", "a", "b", "c", "d", "e", "f")
    found = condition("as recorded", [fifth, sixth, answered("f", "f")], None)
    assert (found.top1.right, found.top5.right, found.top1.clips) == (1, 2, 3)


def test_a_failure_counts_as_wrong_and_stays_in_the_total() -> None:
    found = condition("as recorded", [answered("a", "a"), answered("a", failed=True)], None)
    assert (found.top1.right, found.top1.clips, found.failures) == (1, 2, 1)
    assert (found.top5.right, found.p_value) == (1, None)


def test_a_condition_is_held_to_the_same_clips_as_recorded() -> None:
    before = [answered("a", "a"), answered("a", "a"), answered("a", "b"), answered("a", "b")]
    after = [answered("a", "b"), answered("a", "a"), answered("a", "a"), answered("a", "b")]
    found = condition("noise", after, before)
    assert (found.lost, found.gained, found.p_value) == (1, 1, 1.0)


def test_speakers_come_worst_first_with_whom_they_were_taken_for() -> None:
    answers = [
        *(answered("ann", "ann") for _ in range(4)),
        answered("bob", "ann", "bob"),
        answered("bob", "cal"),
        answered("bob", "ann"),
        answered("cal", "bob"),
        answered("cal", "cal"),
        answered("cal", failed=True),
    ]
    bob, cal, ann = speakers(answers)
    assert (bob.speaker, bob.right, bob.clips, bob.taken_for) == ("bob", 0, 3, {"ann": 2, "cal": 1})
    assert (cal.speaker, cal.right, cal.failures, cal.taken_for) == ("cal", 1, 1, {"bob": 1})
    assert (ann.speaker, ann.right, ann.taken_for) == ("ann", 4, {})
