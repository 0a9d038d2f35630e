"""Is it one person? Test clips against enrolled voices, of people that neither training nor calibration heard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bundle.enrolment.trials import centroids, unit
from measure.openset import measures
from measure.openset.heard import Heard, Table, interval

COHORT_TOP = 20  # of AS-norm: the nearest of the cohort
DET_POINTS = 400


def pairs(enrolled: Heard, tested: Heard) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Scores (test clips, models), which of them are of one person, and which of two that cannot be one."""
    people = enrolled.by_person()
    key_of = dict(zip(enrolled.cuts.people, enrolled.cuts.keys, strict=True))
    scores = tested.answers.vectors @ centroids(list(people.values())).T
    same = np.array([[person == name for name in people] for person in tested.cuts.people])
    other = np.array([[key != key_of[name] for name in people] for key in tested.cuts.keys])
    return scores, same, other


def pair_calibration(calibration: dict[int, Heard]) -> tuple[float, float]:
    """(slope, offset): a cosine's log-likelihood ratio, from the calibration people; every other clip enrols."""
    same_scores, other_scores = [], []
    for heard in calibration.values():
        people = np.asarray(heard.cuts.people)
        keys = np.asarray(heard.cuts.keys)
        odd = (
            np.concatenate(
                [np.arange((people == name).sum()) % 2 for name in dict.fromkeys(heard.cuts.people)]
            )
            == 1
        )
        for name in dict.fromkeys(heard.cuts.people):
            enrolment = heard.answers.vectors[(people == name) & ~odd]
            if len(enrolment):
                model = unit(enrolment.sum(axis=0))
                same_scores.append(heard.answers.vectors[(people == name) & odd] @ model)
                other_scores.append(heard.answers.vectors[keys != keys[people == name][0]] @ model)
    return logistic(np.concatenate(same_scores), np.concatenate(other_scores))


def logistic(same: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of the log-likelihood ratio, both sides weighing the same; Newton's method."""
    features = np.column_stack([np.concatenate([same, other]), np.ones(len(same) + len(other))])
    target = np.concatenate([np.ones(len(same)), np.zeros(len(other))])
    weights = np.concatenate([np.full(len(same), 0.5 / len(same)), np.full(len(other), 0.5 / len(other))])
    point = np.zeros(2)
    for _ in range(50):
        shares = 1 / (1 + np.exp(-features @ point))
        gradient = features.T @ (weights * (shares - target))
        hessian = features.T @ (features * (weights * shares * (1 - shares))[:, None]) + 1e-9 * np.eye(2)
        point = point - np.linalg.solve(hessian, gradient)
    return float(point[0]), float(point[1])


def never_heard(new: Heard, fresh: Heard, scale: tuple[float, float], cohort: NDArray[np.float64]) -> Table:
    scores, same, other = pairs(new, fresh)
    normed = as_norm(scores, new, fresh, cohort)
    people = fresh.cuts.people
    slope, offset = scale

    def measured(matrix: NDArray[np.float64], measure: Callable[..., float]) -> Table:
        return interval([people], lambda rows: measure(matrix[rows][same[rows]], matrix[rows][other[rows]]))

    misses, alarms = measures.rates(scores[same], scores[other])
    keep = np.linspace(0, len(misses) - 1, DET_POINTS).astype(int)
    return {
        "eer": measured(scores, measures.eer),
        "eer_as_norm": measured(normed, measures.eer),
        "cllr": measured(slope * scores + offset, measures.cllr),
        "cllr_before": measured(scores, measures.cllr),
        "same": int(same.sum()),
        "other": int(other.sum()),
        "det": [misses[keep].round(5).tolist(), alarms[keep].round(5).tolist()],
    }


def as_norm(
    scores: NDArray[np.float64], new: Heard, fresh: Heard, cohort: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Adaptive symmetric score normalisation (Matějka et al. 2017) against the people of training and calibration."""

    def statistics(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        nearest = np.sort(vectors @ cohort.T, axis=1)[:, -COHORT_TOP:]
        return nearest.mean(axis=1), nearest.std(axis=1) + 1e-6

    model_mean, model_std = statistics(centroids(list(new.by_person().values())))
    test_mean, test_std = statistics(fresh.answers.vectors)
    return 0.5 * ((scores - model_mean) / model_std + (scores - test_mean[:, None]) / test_std[:, None])
