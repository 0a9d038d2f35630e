"""One run: what the others send, and at the same time what the greedy caller sends, from processes of their own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from threading import Event
from typing import Any

from measure.fairness.callers import Callers
from measure.loadtest import LoadTestError, arrivals
from measure.loadtest.drive import Record, drive, plan
from measure.loadtest.target import Clip, Target

LEAD_SECONDS = 2.0  # of the greedy caller alone: its burst is spent by then
START_SECONDS = 60.0  # for a load generator to begin
REFUSED = 429


@dataclass(frozen=True)
class Run:
    """Figures of one run.

    Attributes:
        sent, answered, refused: of the greedy caller, a second.
        latencies: of the others, in milliseconds from the scheduled send time, ascending.
        failed: requests of the others without a ranking, and those of the greedy caller that are neither answered nor
            refused.
    """

    tokens: int
    condition: str
    round: int
    sent: float
    answered: float
    refused: float
    latencies: tuple[float, ...]
    failed: int

    def row(self) -> dict[str, Any]:
        """For a JSON file: the latencies are one line."""
        return {**asdict(self), "latencies": " ".join(map(str, self.latencies))}

    @classmethod
    def of(cls, row: dict[str, Any]) -> Run:
        """The inverse of `row`."""
        return cls(**{**row, "latencies": tuple(map(float, row["latencies"].split()))})


@dataclass(frozen=True)
class Load:
    """What is sent in every run.

    Attributes:
        url: of inference.
        clips: in random order.
        others: requests a second of all others together, each with a token at random.
        seconds: of a run.
    """

    url: str
    clips: Sequence[Clip]
    others: float
    seconds: float

    def run(self, callers: Callers, condition: str, multiple: float, number: int) -> Run:
        """Send both, and wait for all answers.

        Raises:
            LoadTestError: a load generator does not begin.
        """
        began, over = Event(), Event()
        with ThreadPoolExecutor(1) as pool:
            greedy = pool.submit(self._greedy, callers, multiple * callers.share, number, began, over)
            try:
                if not began.wait(START_SECONDS):
                    raise LoadTestError(f"the greedy caller has no answer after {START_SECONDS:g} s")
                time.sleep(LEAD_SECONDS)
                others = self._others(callers, number)
            finally:
                over.set()
            return figures(callers.count, condition, number, others, greedy.result())

    def _targets(self, tokens: Sequence[str]) -> list[Target]:
        return [Target(self.url, headers={"Authorization": f"Bearer {token}"}) for token in tokens]

    def _others(self, callers: Callers, seed: int) -> list[Record]:
        moments = arrivals.times("poisson", self.others, self.seconds, seed)
        return drive(plan(self.clips, self._targets(callers.others), moments, self.seconds, seed))

    def _greedy(self, callers: Callers, rate: float, seed: int, began: Event, over: Event) -> list[Record]:
        long = START_SECONDS + self.seconds  # it is stopped when the others have their answers
        moments = arrivals.times("constant", rate, long, seed)
        todo = plan(self.clips, self._targets([callers.greedy]), moments, long, seed)
        return drive(todo, lambda _: began.set(), over.is_set)


def figures(
    tokens: int, condition: str, number: int, others: Sequence[Record], greedy: Sequence[Record]
) -> Run:
    """What one run shows; the greedy caller's first seconds, in which it spends its burst, do not count."""
    counted = [each for each in greedy if each.scheduled >= LEAD_SECONDS]
    if len(counted) < 2:
        raise LoadTestError("the greedy caller sent next to nothing: give a run more seconds")
    seconds = counted[-1].scheduled - counted[0].scheduled
    answered = sum(each.error is None for each in counted)
    refused = sum(each.status == REFUSED for each in counted)
    return Run(
        tokens=tokens,
        condition=condition,
        round=number,
        sent=round((len(counted) - 1) / seconds, 2),
        answered=round(answered / seconds, 2),
        refused=round(refused / seconds, 2),
        latencies=tuple(sorted(round(1000 * each.latency, 1) for each in others)),
        failed=sum(each.error is not None for each in others) + len(counted) - answered - refused,
    )
