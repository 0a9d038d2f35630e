"""HorizontalPodAutoscaler v2: how many replicas the metrics ask for.

After https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details and
Kubernetes' pkg/controller/podautoscaler (replica_calculator.go, horizontal.go): desired = ⌈pods × value / target⌉, no
change within the tolerance, pods without a metric counted as at the target before a scale-down and as idle before a
scale-up, the largest of several metrics' proposals, then `behaviour`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from measure.autoscale.behaviour import DOWN, UP, Behaviour, Rules

SYNC_SECONDS = 15.0  # --horizontal-pod-autoscaler-sync-period
TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance


class Kind(Enum):
    """How a metric's value becomes replicas."""

    PODS = "Pods"  # AverageValue over the pods that have the metric
    RESOURCE = (
        "Resource"  # averageUtilization: share of the pods' requests; pods that never were ready do not count
    )
    EXTERNAL_AVERAGE = "External, AverageValue"  # the sum over all replicas: what KEDA makes of a trigger
    EXTERNAL_VALUE = "External, Value"


@dataclass(frozen=True)
class Metric:
    """One entry of spec.metrics. `signal` names what it reads, as in `fleet.SIGNALS`."""

    signal: str
    target: float
    kind: Kind = Kind.PODS


class Reading(NamedTuple):
    """What a metric's API answers, and which pods it does not cover."""

    values: npt.NDArray[np.float64]  # of the pods that have one
    missing: int  # running pods that have none yet
    pending: int  # pods that do not run yet, and for `RESOURCE` those that have not been ready


@dataclass(frozen=True)
class Hpa:
    """A HorizontalPodAutoscaler's spec."""

    least: int
    most: int
    metrics: tuple[Metric, ...]
    up: Rules = field(default=UP)
    down: Rules = field(default=DOWN)


def proposal(metric: Metric, reading: Reading, current: int, ready: int) -> int | None:
    """Replicas that one metric asks for; None if it has no value, which changes nothing.

    Args:
        current: spec.replicas.
        ready: pods that are ready.
    """
    if metric.kind is Kind.EXTERNAL_AVERAGE:
        total = float(reading.values.sum())
        if current and abs(1.0 - total / (metric.target * current)) <= TOLERANCE:
            return current
        return ceil(total / metric.target)
    if metric.kind is Kind.EXTERNAL_VALUE:
        ratio = float(reading.values.sum()) / metric.target
        return current if abs(1.0 - ratio) <= TOLERANCE else ceil(ratio * ready)
    return _per_pod(metric.target, reading, current)


def _per_pod(target: float, reading: Reading, current: int) -> int | None:
    """replica_calculator.go, calcPlainMetricReplicas."""
    values, missing, pending = reading
    if not len(values):
        return None
    ratio = float(values.mean()) / target
    idle_pending = pending > 0 and ratio > 1.0
    if not idle_pending and not missing:
        return current if abs(1.0 - ratio) <= TOLERANCE else ceil(ratio * len(values))
    total, pods = float(values.sum()), len(values)
    if missing:
        total += missing * target if ratio < 1.0 else 0.0
        pods += missing
    if idle_pending:
        pods += pending
    again = total / pods / target
    if abs(1.0 - again) <= TOLERANCE or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return current
    asked = ceil(again * pods)
    if (again < 1.0 and asked > current) or (again > 1.0 and asked < current):
        return current
    return asked


def ceil(value: float) -> int:
    """⌈value⌉, where 6.000000001 is 6: Kubernetes computes with whole thousandths."""
    return math.ceil(value - 1e-6)


class Controller:
    """The controller's loop over one HPA, with its memory of recommendations and of its own changes."""

    def __init__(self, spec: Hpa) -> None:
        self.spec = spec
        self._behaviour = Behaviour(spec.up, spec.down)

    def desired(self, now: float, current: int, ready: int, readings: Mapping[str, Reading]) -> int:
        """spec.replicas from now on.

        Args:
            now: seconds.
            current: spec.replicas so far; 0 turns the autoscaler off.
            ready: pods that are ready.
            readings: by signal; one that is absent has no value.
        """
        spec = self.spec
        if current == 0:
            return 0
        if not spec.least <= current <= spec.most:
            return min(max(current, spec.least), spec.most)
        known = [
            (proposal(metric, readings[metric.signal], current, ready) if metric.signal in readings else None)
            for metric in spec.metrics
        ]
        asked = [count for count in known if count is not None]
        # a metric without a value allows no scale-down, as it might have asked for more (horizontal.go,
        # computeReplicasForMetrics)
        if not asked or (None in known and max(asked) < current):
            return current
        return self._behaviour.limit(now, current, max(asked), spec.least, spec.most)
