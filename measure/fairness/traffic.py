"""What the others send, and at the same time what the greedy caller sends: phase after phase, from two processes."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

from measure.fairness.callers import CONDITIONS, Callers
from measure.loadtest import LoadTestError, arrivals
from measure.loadtest.comparison import Run, milliseconds
from measure.loadtest.drive import Plan, Record, drive, plan
from measure.loadtest.phases import GUARD_SECONDS, START_SECONDS, Phase, length, requests
from measure.loadtest.target import Clip, Target

REFUSED = 429
NICE = 10  # of the greedy caller's generator: its work is not to be in the others' latency


@dataclass(frozen=True)
class FairnessRun(Run):
    """Figures of one phase: latencies of the others, and requests of both that failed.

    Attributes:
        tokens: in the file.
        sent, answered, refused: of the greedy caller, a second.
    """

    GREEDY: ClassVar = ("sent", "answered", "refused")

    tokens: int
    sent: float
    answered: float
    refused: float


@dataclass(frozen=True)
class Load:
    """What is sent.

    Attributes:
        url: of inference.
        clips: in random order.
        others: requests a second of all others together, each with a token at random.
    """

    url: str
    clips: Sequence[Clip]
    others: float

    def run(self, callers: Callers, order: Sequence[Phase]) -> list[FairnessRun]:
        """Send both through all phases, and wait for all answers.

        Raises:
            LoadTestError: a load generator does not begin.
        """
        begin = time.monotonic() + START_SECONDS
        callers.write(limited=True)
        over = threading.Event()
        with ThreadPoolExecutor(2) as pool:
            pool.submit(self._limit, callers, order, begin, over)
            greedy = pool.submit(drive, self._greedy(callers, order, begin), nice=NICE)
            try:
                others = drive(requests(self.clips, self._targets(callers.others), self.others, order, begin))
            finally:
                over.set()
            return [figures(callers.count, phase, others, greedy.result()) for phase in order]

    def _greedy(self, callers: Callers, order: Sequence[Phase], begin: float) -> Plan:
        moments = [
            phase.start + moment
            for phase in order
            for moment in arrivals.times(
                "constant", CONDITIONS[phase.condition][0] * callers.share, phase.seconds, 0
            )
        ]
        made = plan(self.clips, self._targets([callers.greedy]), moments, length(order), 0)
        return dataclasses.replace(made, begin=begin)

    def _limit(self, callers: Callers, order: Sequence[Phase], begin: float, over: threading.Event) -> None:
        """Change the greedy caller's share between the phases."""
        limited = True
        for phase in order:
            if over.wait(max(0.0, begin + phase.start - time.monotonic())):
                return
            if CONDITIONS[phase.condition][1] != limited:
                limited = not limited
                callers.write(limited)

    def _targets(self, tokens: Sequence[str]) -> list[Target]:
        return [Target(self.url, headers={"Authorization": f"Bearer {token}"}) for token in tokens]


def figures(tokens: int, phase: Phase, others: Sequence[Record], greedy: Sequence[Record]) -> FairnessRun:
    """What one phase shows."""
    felt = [each for each in others if phase.counts(each)]
    counted = [each for each in greedy if phase.counts(each)]
    seconds = phase.seconds - GUARD_SECONDS
    if not felt or not counted:
        raise LoadTestError("next to nothing was sent in a phase: give it more seconds")
    answered = sum(each.error is None for each in counted)
    refused = sum(each.status == REFUSED for each in counted)
    return FairnessRun(
        condition=phase.condition,
        round=phase.round,
        latencies=milliseconds(each.latency for each in felt),
        failed=sum(each.error is not None for each in felt) + len(counted) - answered - refused,
        tokens=tokens,
        sent=round(len(counted) / seconds, 2),
        answered=round(answered / seconds, 2),
        refused=round(refused / seconds, 2),
    )
