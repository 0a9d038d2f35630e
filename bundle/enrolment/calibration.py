"""Trials → probabilities and thresholds: the numbers that a gallery or a guard carries.

A trial is one clip's scores against every enrolled voice; genuine trials know their voice, strangers have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from speaker_id.calibrated import Threshold, interpolated

from bundle import BundleError

Scores = NDArray[np.float64]  # (clips, voices); -inf where a voice is left out of a clip's trial

# Rates whose thresholds are carried; a request's rate is interpolated between them.
RATES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
FEWEST_STRANGERS = 20  # clips; below, neither a threshold nor a calibration means anything
ENOUGH = 3  # strangers expected to pass at a rate, for their own quantile to be its threshold
EULER = 0.5772156649
FURTHEST = 0.9999  # a cosine whose artanh is still finite
MAX_SLOPE = 200.0  # beyond it a cosine's hundredth would be certainty
STEPS = 60


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities: the softmax of slope · (scores, neutral)."""

    slope: float
    neutral: float


@dataclass(frozen=True)
class Scale:
    """Where scores have no ends, so that a distribution can be fitted to them.

    Attributes:
        bend, unbend: scores → there, and back.
        lowest, highest: of scores.
    """

    bend: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    unbend: Callable[[float], float]
    lowest: float
    highest: float


COSINE = Scale(
    lambda scores: np.arctanh(np.clip(scores, -FURTHEST, FURTHEST)), math.tanh, -1.0, 1.0
)  # Fisher's z
ENDLESS = Scale(lambda scores: scores, float, -math.inf, math.inf)


def fit(
    genuine: Scores,
    owners: NDArray[np.int64],
    strangers: Scores,
    offsets: tuple[Scores, Scores] | None = None,
) -> Calibration:
    """Maximum likelihood of slope and neutral threshold, genuine trials and strangers weighing the same.

    Args:
        genuine, strangers: trials; `owners` are whose the genuine ones are.
        offsets: of both, what is added to slope · score.

    Newton's method on (slope, slope · neutral), in which the likelihood is concave. Targets are smoothed as Platt's
    are ((n + 1) / (n + 2) instead of 1), so that perfectly separated trials give a finite slope.
    """
    scores = np.concatenate([genuine, strangers])
    voices = scores.shape[1]
    finite = np.isfinite(scores)
    # two features a class: a voice has (its score, 0), unknown has (0, 1)
    features = np.zeros((len(scores), voices + 1, 2))
    features[:, :voices, 0] = np.where(finite, scores, 0)
    features[:, voices, 1] = 1
    allowed = np.column_stack([finite, np.ones(len(scores), bool)])
    added = np.zeros(allowed.shape)
    if offsets is not None:
        added[:, :voices] = np.concatenate(offsets)
    targets = np.zeros(allowed.shape)
    for part, answers, count in (
        (slice(0, len(genuine)), owners, len(genuine)),
        (slice(len(genuine), None), np.full(len(strangers), voices), len(strangers)),
    ):
        rows = np.arange(len(scores))[part]
        others = allowed[rows].copy()
        others[np.arange(len(rows)), answers] = False
        right = (count + 1) / (count + 2)
        targets[rows] = others * ((1 - right) / np.maximum(1, others.sum(axis=1, keepdims=True)))
        targets[rows, answers] = right
    weights = np.concatenate(
        [np.full(len(genuine), 0.5 / len(genuine)), np.full(len(strangers), 0.5 / len(strangers))]
    )

    point = np.array([10.0, 4.0])
    best, best_loss = point, math.inf
    for _ in range(STEPS):
        logits = np.where(allowed, added + features @ point, -np.inf)
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        loss = float(
            -(weights[:, None] * np.where(allowed, targets * np.log(np.maximum(shares, 1e-300)), 0)).sum()
        )
        if loss < best_loss:
            best, best_loss = point, loss
        gradient = np.einsum("c,ck,ckf->f", weights, shares - targets, features)
        mean = np.einsum("ck,ckf->cf", shares, features)
        hessian = np.einsum("c,ck,ckf,ckg->fg", weights, shares, features, features)
        hessian -= np.einsum("c,cf,cg->fg", weights, mean, mean)
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
        if np.abs(step).max() < 1e-9:
            break
        point = point - step * min(1.0, 5.0 / np.abs(step).max())
    slope = float(np.clip(best[0], 1e-3, MAX_SLOPE))
    return Calibration(slope, float(np.clip(best[1] / slope, -1, 1)))


def thresholds(
    strangers: NDArray[np.float64], rates: tuple[float, ...] = RATES, scale: Scale = COSINE
) -> tuple[Threshold, ...]:
    """Strangers' best scores → the score that each rate of them passes, by falling rate.

    Where too few strangers would pass to observe a rate, a Gumbel distribution (of the largest of many) extrapolates:
    its tail is heavier than a normal one's, so the threshold errs to the careful side. It is fitted to scores without
    ends, of cosines to Fisher's z = artanh(cosine).
    """
    bent = scale.bend(strangers)
    spread = float(bent.std(ddof=1)) * math.sqrt(6) / math.pi
    middle = float(bent.mean()) - EULER * spread
    found: list[Threshold] = []
    lowest = scale.lowest
    for rate in rates:
        observed = rate * len(strangers) >= ENOUGH
        quantile = float(np.quantile(strangers, 1 - rate))
        score = (
            quantile
            if observed
            else max(quantile, scale.unbend(middle - spread * math.log(-math.log1p(-rate))))
        )
        lowest = min(scale.highest, max(lowest, score))
        found.append(Threshold(fpir=rate, score=lowest, observed=observed))
    return tuple(found)


def check_enough(strangers: int) -> None:
    """Raise BundleError for too few clips of strangers."""
    if strangers < FEWEST_STRANGERS:
        raise BundleError(
            f"{strangers} clips of strangers cannot place a threshold: give at least {FEWEST_STRANGERS}, "
            "of as many people as you have, STRANGERS=folder/person/*.wav"
        )


def passing(
    best: NDArray[np.float64],
    people: Sequence[str],
    fpir: float,
    scale: Scale = COSINE,
    floor: NDArray[np.float64] | float = -math.inf,
) -> NDArray[np.bool_]:
    """(clips,): which strangers' best scores pass the threshold of a rate, each person's that of the others' clips.

    Args:
        people: whose each clip is.
        floor: of each clip, what it must pass besides.
    """
    names, passed = np.asarray(people), np.zeros(len(best), bool)
    for name in sorted(set(people)):
        own = names == name
        if (~own).sum() > 1:
            passed[own] = best[own] > interpolated(thresholds(best[~own], scale=scale), fpir)
    return passed & (best > floor)
