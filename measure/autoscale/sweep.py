"""Many days, one a core at a time; the thresholds that meet the SLO for least replica-hours."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from measure.autoscale.day import Day, Trial, simulate
from measure.autoscale.hpa import Controller, Hpa
from measure.autoscale.keda import Operator, ScaledObject
from measure.autoscale.traffic import Floats

SHARE = 0.99  # of the minutes, in which p99 must be within the bound
SURGE = 2.0  # maxReplicas by what the peak needs, where the fleet is larger than the manifest allows


def run(trial: Trial) -> Day:
    """The trial's day; it begins with a quarter more replicas than midnight needs."""
    rules = trial.rules
    spec = roomy(rules.hpa if isinstance(rules, ScaledObject) else rules, trial.size)
    scaler = Operator(replace(rules, hpa=spec)) if isinstance(rules, ScaledObject) else Controller(spec)
    needed = math.ceil(1.25 * trial.profile[0] * trial.size)
    first = min(max(needed, spec.least), spec.most) if trial.profile[0] else spec.least
    return simulate(trial, scaler, first)


def roomy(rules: Hpa, size: int) -> Hpa:
    """The same rules with a maxReplicas that this size fits into."""
    return replace(rules, most=max(rules.most, math.ceil(SURGE * size) + 2))


def run_all(trials: Sequence[Trial]) -> list[Day]:
    """All of them, in their order, one process a core."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        longest_first = sorted(range(len(trials)), key=lambda index: -trials[index].size)
        futures = {index: pool.submit(run, trials[index]) for index in longest_first}
        return [futures[index].result() for index in range(len(trials))]


def needed_hours(profile: Floats, size: int) -> float:
    """Replica-hours of an autoscaler that knows the future and starts replicas at once."""
    return float(np.maximum(1, np.ceil(profile * size - 1e-9)).sum() / 60)


@dataclass(frozen=True)
class Score:
    """Several days of one setting.

    Attributes:
        cost: replica-hours by those of `needed_hours`, mean of the days.
        within: share of the minutes whose p99 is within the bound, of the worst day.
        failed: requests that were refused or found no replica, of all days.
    """

    name: str
    cost: float
    within: float
    failed: int

    @property
    def good(self) -> bool:
        return self.within >= SHARE and self.failed == 0


def score(name: str, trials: Sequence[Trial], days: Sequence[Day], bound: float) -> Score:
    needed = [needed_hours(trial.profile, trial.size) for trial in trials]
    cost = statistics.fmean(day.replica_hours / hours for day, hours in zip(days, needed, strict=True))
    return Score(name, cost, min(day.share_within(bound) for day in days), sum(day.failed for day in days))


def best(scores: Sequence[Score]) -> Score:
    """The cheapest that meets the SLO; if none does, the nearest."""
    good = [score for score in scores if score.good]
    if good:
        return min(good, key=lambda score: score.cost)
    return max(scores, key=lambda score: (score.within, -score.failed))
