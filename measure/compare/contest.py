"""Rounds within a time box: bursts of all in turn, of those that decide the targets again, then open arrivals.

Only one server runs at a time. The others are stopped, not idle: thirteen of them would not fit into memory.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from measure import Unavailable
from measure.command import Say
from measure.compare.burst import Burst, burst
from measure.compare.contenders import OURS_BF16, OURS_FP32, TRITON_BF16, TRITON_FP32, USUAL, Contender
from measure.compare.servers import Server, serving
from measure.compare.steps import RateLoad, RateStep, capacity, held
from measure.compare.usage import watched
from measure.compare.work import Reference, seconds
from measure.loadtest.clips import Clip

SHARES = (0.25, 0.5, 0.8)  # of our capacity in fp32
SAME_SCORE = 0.01  # largest difference of a score that is still the same answer: bf16 moves scores by less
WARM_UP = 4  # of the shortest clips, at once
PEERS = 2  # that answer right and take part in every round
UNKNOWN_SECONDS = 60.0  # assumed for a first burst


@dataclass
class MeasuredServer:
    """What one contender did.

    Attributes:
        started: seconds from its start to its first answer, the longest.
        bursts: in the order of the rounds.
        ladder: the steps that looked for its capacity.
        loads: by share of our capacity; None where that is above its own saturation, so that its queue would grow.
        peak: largest memory of its processes together, in bytes.
    """

    started: float = 0.0
    bursts: list[Burst] = field(default_factory=list)
    ladder: list[RateStep] = field(default_factory=list)
    loads: dict[float, RateStep | None] = field(default_factory=dict)
    peak: int = 0

    @property
    def throughput(self) -> float:
        """Seconds of audio a second at saturation, the median of the bursts."""
        return statistics.median(each.throughput for each in self.bursts)

    @property
    def steps(self) -> list[RateStep]:
        return self.ladder + [step for step in self.loads.values() if step]

    def errors(self) -> int:
        of_steps = (sum(step.summary.errors.values()) for step in self.steps if step.whole)
        return sum(len(each.errors) for each in self.bursts) + sum(of_steps)

    def changed(self, reference: Reference) -> int:
        """Answers whose best label is not that of the clip alone, over everything it was asked."""
        bursts = sum(
            answer.label != reference[name].label for it in self.bursts for name, answer in it.answers.items()
        )
        return bursts + sum(step.changed for step in self.steps)

    def drift(self, reference: Reference) -> float:
        """Largest difference of a best label's score from the clip's own."""
        pairs = ((it.answers[name], reference[name]) for it in self.bursts for name in it.answers)
        return max((abs(mine.score - right.score) for mine, right in pairs), default=0.0)

    def right(self, reference: Reference) -> bool:
        """Whether it answers as the clip alone does. Late answers under too much load do not count against it."""
        failed = any(each.errors for each in self.bursts)
        return not failed and not self.changed(reference) and self.drift(reference) <= SAME_SCORE


class ServerContest:
    """Everything that is measured in one run.

    Args:
        make: contender → its server.
        load: what open arrivals share; its clips are all there are.
        rounds: the clips of each round's burst, like lengths in each.
        minutes: all that it may take; what no longer fits is left out, and reported.
        shares: of our capacity in fp32, at which the latencies of all are measured.
    """

    def __init__(
        self,
        entrants: Sequence[Contender],
        make: Callable[[Contender], Server],
        load: RateLoad,
        rounds: Sequence[Sequence[Clip]],
        minutes: float,
        say: Say,
        shares: Sequence[float] = SHARES,
    ) -> None:
        self.shares = shares
        self.entrants, self.make, self.load, self.say = list(entrants), make, load, say
        self.rounds = rounds
        self.shortest = sorted(load.clips, key=lambda clip: clip.seconds)[:WARM_UP]
        self.ends = time.monotonic() + 60 * minutes
        self.measured: dict[Contender, MeasuredServer] = {}
        self.absent: dict[Contender, str] = {}
        self.wall = self.foreign = 0.0

    def run(self) -> None:
        for number, clips in enumerate(self.rounds):
            entrants = self.deciding() if number else self.entrants
            for contender in entrants if number % 2 == 0 else entrants[::-1]:  # nobody is always last
                cost = self.burst_cost(contender, clips)
                self.attempt(contender, f"burst {number + 1}", partial(self.burst, clips), cost)
        for contender in self.by_importance():
            self.attempt(contender, "open arrivals", self.climb, self.climb_cost(contender))

    def attempt(
        self, contender: Contender, what: str, do: Callable[[Contender, Server], None], cost: float
    ) -> None:
        if contender in self.absent:
            return
        if time.monotonic() + cost > self.ends:
            self.say(f"{contender.name}: {what} left out: it would take {cost:.0f} s, more than is left")
            return
        try:
            with self.visiting(contender) as server:
                do(contender, server)
        except Unavailable as exc:
            self.absent[contender] = str(exc)
            self.say(f"{contender.name}: {exc}")

    @contextmanager
    def visiting(self, contender: Contender) -> Iterator[Server]:
        """Its server, started, warm and monitored, for the length of the block."""
        began = time.monotonic()
        with serving(self.make(contender), self.shortest[0]) as server:
            mine = self.measured.setdefault(contender, MeasuredServer())
            mine.started = max(mine.started, time.monotonic() - began)
            burst(server.target, self.shortest)
            with watched(server) as usage:
                yield server
            mine.peak = max(mine.peak, usage.peak)
            self.wall += usage.wall
            self.foreign += usage.foreign

    def burst(self, clips: Sequence[Clip], contender: Contender, server: Server) -> None:
        got = burst(server.target, clips)
        if not got.answers:
            raise Unavailable(f"it answers nothing at saturation: {next(iter(got.errors.values()))}")
        self.measured[contender].bursts.append(got)
        wrong = f", {len(got.errors)} errors: {next(iter(got.errors.values()))}" if got.errors else ""
        self.say(f"{contender.name}: {got.throughput:.1f} seconds of audio a second at saturation{wrong}")

    def climb(self, contender: Contender, server: Server) -> None:
        """Its capacity, then its latencies at shares of ours."""
        mine = self.measured[contender]
        mine.ladder = capacity(
            lambda rate: self.step(contender, server, rate, cut_short=True), self.saturation(contender)
        )
        base = held(self.measured[OURS_FP32].ladder) if OURS_FP32 in self.measured else None
        for share in self.shares if base else ():
            assert base
            above = share * base > self.saturation(contender)
            mine.loads[share] = None if above else self.step(contender, server, share * base, cut_short=False)

    def step(self, contender: Contender, server: Server, rate: float, cut_short: bool) -> RateStep:
        step = self.load.step(server.target, rate, cut_short)
        burst(
            server.target, self.shortest
        )  # queues behind what the load gave up on: the next step finds no queue
        failed = ", ".join(f"{count} × {code}" for code, count in step.summary.errors.items()) or "no errors"
        self.say(
            f"{contender.name}: {rate:.2f} requests a second, {step.summary.requests} of them: "
            f"p50 {step.summary.p50:.2f} s, p99 {step.summary.p99:.2f} s, {failed}"
            + ("" if step.whole else " (cut short)")
        )
        return step

    def saturation(self, contender: Contender) -> float:
        """Requests a second, of clips of mean length."""
        return self.measured[contender].throughput * len(self.load.clips) / seconds(self.load.clips)

    def deciding(self) -> list[Contender]:
        """Those that the targets are about: ours, the usual handler, the fastest peers that answer right."""
        present = [it for it in self.entrants if it in self.measured and it not in self.absent]
        ranked = sorted(present, key=lambda it: -self.measured[it].throughput)
        right = [it for it in ranked if not it.ours and self.measured[it].right(self.load.reference)]
        ours = [OURS_FP32, TRITON_FP32, *right[:1], USUAL, OURS_BF16, TRITON_BF16]
        wanted = dict.fromkeys([*ours, *right[:PEERS]])
        return [it for it in wanted if it in present]

    def decided(self, needed: Sequence[str]) -> bool:
        """Whether these, and another peer that answers right, were measured at saturation."""
        measured = {it for it in self.measured if it not in self.absent and self.measured[it].bursts}
        peers = (it for it in measured if not it.ours and it != USUAL)
        right = any(self.measured[it].right(self.load.reference) for it in peers)
        return right and set(needed) <= {it.name for it in measured}

    def by_importance(self) -> list[Contender]:
        """Those that decide, then the others, the fastest first."""
        others = (it for it in self.measured if it not in self.absent)
        ranked = sorted(others, key=lambda it: -self.measured[it].throughput)
        return list(dict.fromkeys([*self.deciding(), *ranked]))

    def burst_cost(self, contender: Contender, clips: Sequence[Clip]) -> float:
        """Seconds that it takes, by the rounds so far."""
        mine = self.measured.get(contender)
        return mine.started + seconds(clips) / mine.throughput if mine and mine.bursts else UNKNOWN_SECONDS

    def climb_cost(self, contender: Contender) -> float:
        """Two steps for the capacity, and one for each share below its saturation; each waits for its last answers."""
        steps = 2 + len(self.shares)
        longer = self.load.lasting(0.5 * self.saturation(contender)) - self.load.seconds  # the one that holds
        return self.measured[contender].started + steps * (self.load.seconds + self.load.bound) + longer
