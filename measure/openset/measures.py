"""Scores of trials → measures of detection and of calibration. Higher scores are for the known, or for one person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def rates(same: Scores, other: Scores) -> tuple[Scores, Scores]:
    """(miss rates, false-alarm rates) at every threshold, from low to high."""
    scores = np.concatenate([same, other])
    is_same = np.concatenate([np.ones(len(same)), np.zeros(len(other))])[np.argsort(scores, kind="stable")]
    misses = np.concatenate([[0], np.cumsum(is_same)]) / len(same)
    alarms = 1 - np.concatenate([[0], np.cumsum(1 - is_same)]) / len(other)
    return misses, alarms


def eer(same: Scores, other: Scores) -> float:
    """Equal error rate: where as many are missed as are falsely accepted; between two thresholds, interpolated."""
    misses, alarms = rates(same, other)
    after = int(np.argmax(misses >= alarms))
    before = max(0, after - 1)
    gap = alarms[before] - misses[before], alarms[after] - misses[after]
    share = gap[0] / (gap[0] - gap[1]) if gap[0] != gap[1] else 0.0
    return float(misses[before] + share * (misses[after] - misses[before]))


def auroc(known: Scores, strangers: Scores) -> float:
    """The chance that one of the known scores above a stranger; a tie counts half."""
    order = np.sort(strangers)
    below = np.searchsorted(order, known, "left") + np.searchsorted(order, known, "right")
    return float(below.mean() / (2 * len(strangers)))


def fpr_at_95(known: Scores, strangers: Scores) -> float:
    """Strangers accepted by the threshold that accepts 95 % of the known."""
    return float((strangers >= np.quantile(known, 0.05)).mean())


def detection(best: Scores, right: NDArray[np.bool_], strangers: Scores, fpir: float) -> float:
    """DIR at FPIR (ISO/IEC 19795-1): clips of enrolled people that are named, rightly, where `fpir` of the strangers'
    clips get a name.

    Args:
        best: scores of the best voice, of clips of enrolled people.
        right: whether that voice is theirs.
        strangers: scores of the best voice, of clips of others.
    """
    return float(((best > np.quantile(strangers, 1 - fpir)) & right).mean())


def cllr(same: Scores, other: Scores) -> float:
    """Cost of log-likelihood ratios (natural) in bits: 0 for a perfect system, 1 for one that says nothing.

    Brümmer & du Preez 2006, https://doi.org/10.1016/j.csl.2005.08.001
    """
    bits = np.logaddexp(0, -same).mean() + np.logaddexp(0, other).mean()
    return float(bits / (2 * np.log(2)))


def ece(probabilities: Scores, right: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: mean distance of probability and share right, in bins of equal width.

    Guo et al. 2017, arXiv 1706.04599.
    """
    return float(sum(share * abs(mean - hit) for mean, hit, share in reliability(probabilities, right, bins)))


def reliability(
    probabilities: Scores, right: NDArray[np.bool_], bins: int = 10
) -> list[tuple[float, float, float]]:
    """(mean probability, share right, share of the clips) of each bin that is not empty."""
    places = np.minimum((probabilities * bins).astype(int), bins - 1)
    found = []
    for place in range(bins):
        mine = places == place
        if mine.any():
            found.append((float(probabilities[mine].mean()), float(right[mine].mean()), float(mine.mean())))
    return found
