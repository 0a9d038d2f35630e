"""spec.behavior of a HorizontalPodAutoscaler: stabilisation windows and policies.

After https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#configurable-scaling-behavior
and Kubernetes' pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """At most `value` pods, or percent of the pods, in `period` seconds."""

    percent: bool
    value: int
    period: float


@dataclass(frozen=True)
class Rules:
    """Of one direction. `select`: Max (the policy that changes most), Min, or Disabled."""

    stabilization: float
    policies: tuple[Policy, ...]
    select: str = "Max"


UP = Rules(0.0, (Policy(False, 4, 15.0), Policy(True, 100, 15.0)))  # Kubernetes' defaults
DOWN = Rules(300.0, (Policy(True, 100, 15.0),))


class Behaviour:
    """What a recommendation becomes, and the history that this needs."""

    def __init__(self, up: Rules, down: Rules) -> None:
        self.up, self.down = up, down
        self._recommended: deque[tuple[float, int]] = deque()
        self._changes: deque[tuple[float, int]] = deque()

    def limit(self, now: float, current: int, asked: int, least: int, most: int) -> int:
        """Stabilise, then hold to the policies and to the limits, and remember the change.

        Args:
            now: seconds.
            current, asked: replicas that there are, and that the metrics ask for.
            least, most: minReplicas and maxReplicas.
        """
        desired = self._stabilised(now, current, asked)
        if desired > current:
            desired = min(desired, most, self._reach(self.up, now, current, 1))
        elif desired < current:
            desired = max(desired, least, self._reach(self.down, now, current, -1))
        if desired != current:
            self._changes.append((now, desired - current))
        longest = max((policy.period for policy in (*self.up.policies, *self.down.policies)), default=0.0)
        while self._changes and self._changes[0][0] <= now - longest:
            self._changes.popleft()
        return desired

    def _stabilised(self, now: float, current: int, asked: int) -> int:
        """The scale-down window's highest recommendation holds against less, the other's lowest against more."""
        window = max(self.up.stabilization, self.down.stabilization)
        while self._recommended and self._recommended[0][0] <= now - window:
            self._recommended.popleft()
        least = min([asked, *(n for moment, n in self._recommended if moment > now - self.up.stabilization)])
        highest = max(
            [asked, *(n for moment, n in self._recommended if moment > now - self.down.stabilization)]
        )
        self._recommended.append((now, asked))
        if current < least:
            return least
        return min(current, highest)

    def _changed(self, now: float, period: float) -> tuple[int, int]:
        """Pods added and removed within the period."""
        recent = [delta for moment, delta in self._changes if moment > now - period]
        return sum(max(delta, 0) for delta in recent), sum(max(-delta, 0) for delta in recent)

    def _reach(self, rules: Rules, now: float, current: int, sign: int) -> int:
        """The number of replicas that a direction's policies allow by now; `sign` is 1 upwards and -1 downwards."""
        limits = []
        for policy in rules.policies:
            added, removed = self._changed(now, policy.period)
            start = current - added + removed
            most = math.ceil(start * policy.value / 100 - 1e-9) if policy.percent else policy.value
            limits.append(start + sign * most)
        allowed = _selected(rules, limits, current)
        return max(current, allowed) if sign > 0 else min(current, allowed)


def _selected(rules: Rules, limits: list[int], current: int) -> int:
    """The limit that counts: of `Max` the farthest from the current number, of `Min` the nearest."""
    if rules.select == "Disabled":
        return current
    farthest = rules.select == "Max"
    return (max if farthest else min)(limits, key=lambda limit: abs(limit - current))
