"""What counts as the best correct peer, and how ratios are taken."""

from __future__ import annotations

import pytest

from measure.compare.targets import best, verdicts
from measure.verdict import Verdict
from tests.unit.measure.compare.rows import row

OURS = row("ours-fp32", "12 20 11", capacity=1.2)
BF16 = row("ours-bf16", "24 22 21", capacity=2.0, precision="bf16")
USUAL = row("torchserve-padded", "4 4 4", capacity=0.25, right=False, changed=3)
RIGHT = row("fastapi-pipeline", "6 8 10", capacity=0.5)
FASTER_BUT_WRONG = row("ray-padded", "9", capacity=0.9, right=False)


def found(what: str, at: str) -> Verdict:
    (verdict,) = (
        each
        for each in verdicts([OURS, BF16, USUAL, RIGHT, FASTER_BUT_WRONG])
        if each.what == what and each.at == at
    )
    return verdict


def test_a_faster_peer_that_answers_otherwise_is_not_the_best_correct_one() -> None:
    assert best([OURS, USUAL, RIGHT, FASTER_BUT_WRONG], "capacity") == RIGHT


def test_a_ratio_of_capacities_is_that_of_the_rates_that_held() -> None:
    verdict = found("ours-fp32 against fastapi-pipeline", "capacity")
    assert verdict.measured == pytest.approx(2.4)
    assert verdict.wanted == 2.0
    assert verdict.met


def test_a_ratio_at_saturation_is_the_median_of_the_rounds_ratios() -> None:
    # 12/6, 20/8, 11/10 → 2, 2.5, 1.1; the ratio of the medians would be 1.5
    assert found("ours-fp32 against fastapi-pipeline", "saturation").measured == pytest.approx(2.0)


def test_the_usual_handler_is_a_target_of_its_own_though_it_answers_otherwise() -> None:
    assert found("ours-bf16 against torchserve-padded", "capacity").measured == pytest.approx(8.0)


def test_no_capacity_is_no_ratio_and_neither_met_nor_missed() -> None:
    lame = row("torchserve-padded", "4 4 4", capacity=None, right=False)
    verdict = next(it for it in verdicts([OURS, lame]) if it.at == "capacity")
    assert verdict.measured is None
    assert verdict.met is None


def test_one_changed_answer_of_ours_misses_the_target() -> None:
    ours = row("ours-fp32", "12", changed=1, right=False)
    (verdict,) = (it for it in verdicts([ours]) if it.at == "count")
    assert verdict.met is False
