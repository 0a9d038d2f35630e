"""Measures of detection and calibration, against values computed by hand."""

import numpy as np
import pytest

from measure.openset import measures


def of(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_the_equal_error_rate_is_where_misses_equal_false_alarms() -> None:
    assert measures.eer(of(3, 4, 5), of(0, 1, 2)) == 0
    assert measures.eer(of(0, 1, 2), of(3, 4, 5)) == 1
    assert measures.eer(of(1, 3, 4, 5), of(0, 0.5, 0.7, 2)) == pytest.approx(0.25)


def test_auroc_counts_pairs_and_half_of_ties() -> None:
    # pairs: 2>1, 2=2, 3>1, 3>2
    assert measures.auroc(of(2, 3), of(1, 2)) == pytest.approx(3.5 / 4)


def test_fpr_at_95_accepts_nearly_all_of_the_known() -> None:
    known = np.arange(100, dtype=np.float64)  # the threshold is 4.95
    assert measures.fpr_at_95(known, of(0, 4, 5, 50)) == pytest.approx(0.5)


def test_detection_wants_the_right_name_above_the_strangers() -> None:
    strangers = np.linspace(0, 1, 101)  # one in ten is above 0.9
    found = measures.detection(of(0.95, 0.95, 0.5), np.array([True, False, True]), strangers, 0.1)
    assert found == pytest.approx(1 / 3)


def test_cllr_is_one_bit_for_ratios_that_say_nothing() -> None:
    assert measures.cllr(of(0, 0), of(0)) == pytest.approx(1)
    assert measures.cllr(of(50), of(-50)) == pytest.approx(0)
    assert measures.cllr(of(-10), of(10)) > 10  # confidently wrong


def test_ece_is_the_mean_distance_of_probability_and_truth() -> None:
    probabilities = of(0.95, 0.95, 0.15, 0.15)
    right = np.array([True, False, False, False])
    assert measures.ece(probabilities, right) == pytest.approx(0.5 * 0.45 + 0.5 * 0.15)
    assert measures.reliability(probabilities, right)[0] == pytest.approx((0.15, 0.0, 0.5))
