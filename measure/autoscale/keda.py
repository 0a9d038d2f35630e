"""KEDA's ScaledObject: its own loop between none and some replicas, and the HPA that it makes for everything above.

After https://keda.sh/docs/latest/concepts/scaling-deployments/ and .../reference/scaledobject-spec/: a trigger is
active while its value exceeds activationThreshold; active with no replica scales to minReplicaCount or one; inactive
for cooldownPeriod scales to minReplicaCount if that is 0. Between those the HPA acts on `threshold` as an average
value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from measure.autoscale.hpa import Controller, Hpa, Kind, Metric, Reading

DAY_SECONDS = 24 * 3600.0
CALENDAR = "calendar"  # the signal of a cron trigger; KEDA answers 1 for it outside its hours


@dataclass(frozen=True)
class Activation:
    """Of one trigger: the signal, and the value above which it is active."""

    signal: str
    threshold: float


@dataclass(frozen=True)
class Calendar:
    """A trigger of type cron: seconds of the day between which so many replicas are wanted."""

    start: float
    end: float
    replicas: int

    def open(self, now: float) -> bool:
        return self.start <= now % DAY_SECONDS < self.end


@dataclass(frozen=True)
class ScaledObject:
    """A ScaledObject's spec; `hpa.least` is at least 1, `least` may be 0."""

    least: int
    hpa: Hpa
    activations: tuple[Activation, ...]
    polling: float = 30.0  # s
    cooldown: float = 300.0  # s
    calendar: Calendar | None = None


class Operator:
    """KEDA's loop over one ScaledObject."""

    def __init__(self, spec: ScaledObject) -> None:
        self.spec = spec
        cron = (Metric(CALENDAR, 1.0, Kind.EXTERNAL_AVERAGE),) if spec.calendar else ()
        self.controller = Controller(replace(spec.hpa, metrics=spec.hpa.metrics + cron))
        self._active_at = -math.inf

    def polled(self, now: float, current: int, totals: Mapping[str, float]) -> int:
        """spec.replicas after the triggers were polled, every `polling` seconds.

        Args:
            totals: each trigger's value by signal; one that is absent is an error (ignoreNullValues "false"), at which
                no replica is taken away.
        """
        due = self.spec.calendar is not None and self.spec.calendar.open(now)
        if due or any(totals.get(it.signal, 0.0) > it.threshold for it in self.spec.activations):
            self._active_at = now
            return max(current, self.spec.hpa.least)
        lost = any(it.signal not in totals for it in self.spec.activations)
        if self.spec.least == 0 and not lost and now - self._active_at >= self.spec.cooldown:
            return 0
        return current

    def desired(self, now: float, current: int, ready: int, readings: Mapping[str, Reading]) -> int:
        """spec.replicas after the HPA's sync."""
        if calendar := self.spec.calendar:
            asked = calendar.replicas if calendar.open(now) else 1
            readings = {**readings, CALENDAR: Reading(np.array([float(asked)]), 0, 0)}
        return self.controller.desired(now, current, ready, readings)
