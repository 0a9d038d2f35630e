"""Rounds A B C, A B C …: every contestant answers a round's clips before the next round starts.

Other work on the machine, or its clock, then slows all of them alike, and ratios within a round stay valid.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from speaker_id.clip import Waveform

from measure import Unavailable
from measure.bench.engines import BASE, Contestant, Logits
from measure.bench.team import Team, TeamRun
from measure.command import Say
from measure.machine import busy_seconds

TeamKey = tuple[str, str, str]


def key(it: Contestant) -> TeamKey:
    """What contestants have in common that share a team."""
    return it.engine.loader, str(it.layout), it.allocator


@dataclass
class MeasuredEncoder:
    """What one contestant did.

    Attributes:
        backend: what computed, with its version.
        seconds: wall time of each round that it took part in, from the first on.
        latencies: of a lone clip, by its length in seconds, one value a round.
        peak: largest memory of its processes together in any round, in bytes.
        logits: by clip, (labels,).
    """

    backend: str
    seconds: list[float] = field(default_factory=list)
    latencies: dict[float, list[float]] = field(default_factory=dict)
    peak: int = 0
    logits: dict[int, Logits] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkPlan:
    """What to run: `rounds` has indices into `clips`; `probes` and `growth` map a length in seconds to its clip."""

    clips: Sequence[Waveform]
    rounds: Sequence[Sequence[int]]
    probes: dict[float, Waveform]
    growth: dict[float, Waveform]
    sampling_rate: int

    def seconds(self, indices: Sequence[int]) -> float:
        return sum(len(self.clips[index]) for index in indices) / self.sampling_rate


class EncoderContest:
    """The teams of all contestants that can run here, and what they have done so far."""

    def __init__(self, plan: WorkPlan, folder: Path, say: Say) -> None:
        self.plan, self.folder, self.say = plan, folder, say
        self.stack = ExitStack()
        self.teams: dict[TeamKey, Team] = {}
        self.late: list[Contestant] = []  # whose teams exist for their turn alone, which bounds the memory
        self.measured: dict[Contestant, MeasuredEncoder] = {}
        self.absent: dict[Contestant, str] = {}
        self.growth: dict[Contestant, dict[float, float]] = {}
        self.foreign = 0.0  # processor seconds that others than the running team used
        self.wall = 0.0

    def __enter__(self) -> EncoderContest:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def enter(self, contestants: Sequence[Contestant]) -> None:
        """Start them, one team after the other: loading takes more memory than waiting does."""
        lasting = {key(it) for it in contestants if not it.once}
        for number, it in enumerate(contestants, 1):
            if key(it) not in lasting:
                self.late.append(it)
            elif key(it) in self.teams:
                self.measured[it] = MeasuredEncoder(self.teams[key(it)].backend)
            else:
                self.say(f"starting {number}/{len(contestants)}  {it}")
                with self.tried(it):
                    self.start(it, self.stack)

    def start(self, it: Contestant, stack: ExitStack) -> None:
        self.teams[key(it)] = team = stack.enter_context(Team(it, self.folder))
        self.measured[it] = MeasuredEncoder(team.backend)

    @contextmanager
    def tried(self, it: Contestant) -> Iterator[None]:
        """For the block in which a contestant may turn out to be unable to run here; the others go on."""
        try:
            yield
        except Unavailable as exc:
            if it == BASE:
                raise
            self.say(f"skipped {it}: {exc}")
            self.absent[it] = str(exc)
            self.measured.pop(it, None)

    def run(self, it: Contestant, clips: Sequence[Waveform]) -> TeamRun:
        team = self.teams[key(it)]
        before = busy_seconds() - team.cpu_seconds()
        run = team.run(it.engine, clips)
        self.foreign += busy_seconds() - team.cpu_seconds() - before
        self.wall += run.seconds
        return run

    @property
    def foreign_cores(self) -> float:
        """Cores kept busy by anything else while a team ran: other programs, the host, teams that should sleep."""
        return self.foreign / self.wall

    def play(self) -> None:
        for number, indices in enumerate(self.plan.rounds, 1):
            audio = self.plan.seconds(indices)
            self.say(f"round {number}/{len(self.plan.rounds)}: {len(indices)} clips, {audio:.0f} s of audio")
            for it in [*self.measured]:
                if number == 1 or not it.once:
                    with self.tried(it):
                        self.turn(it, indices)
            for it in self.late if number == 1 else ():
                self.say(f"starting {it}, for this round")
                with self.tried(it), ExitStack() as stack:
                    self.start(it, stack)
                    self.turn(it, indices)
                    if it.engine.precision != "fp32":  # it may change answers, which few clips would not show
                        self.answer(it, [index for later in self.plan.rounds[1:] for index in later])

    def turn(self, it: Contestant, indices: Sequence[int]) -> None:
        """Answer a round's clips, then the lone ones."""
        measured, audio = self.measured[it], self.plan.seconds(indices)
        run = self.answer(it, indices)
        measured.seconds.append(run.seconds)
        if it.lone:
            for length, clip in self.plan.probes.items():
                measured.latencies.setdefault(length, []).append(self.run(it, [clip]).seconds)
        ratio = self.measured[BASE].seconds[-1] / run.seconds
        self.say(f"  {ratio:5.2f}×  {it}: {audio / run.seconds:.1f} s of audio a second")

    def answer(self, it: Contestant, indices: Sequence[int]) -> TeamRun:
        """Answer clips, and keep the answers."""
        measured, run = self.measured[it], self.run(it, [self.plan.clips[index] for index in indices])
        measured.peak = max(measured.peak, run.peak)
        measured.logits.update(zip(indices, run.logits, strict=True))
        return run

    def grow(self, contestants: Sequence[Contestant]) -> None:
        """Seconds of work for a second of audio, by the clip's length; short clips several times, for the median."""
        present = [it for it in contestants if it in self.measured]
        self.say("growth with the clip's length, " + ", ".join(map(str, present)))
        for length, clip in self.plan.growth.items():
            repeats = 3 if length <= 10 else 1
            runs: dict[Contestant, list[float]] = {it: [] for it in present}
            for _ in range(repeats):
                for it in present:
                    runs[it].append(self.run(it, [clip]).seconds)
            for it in present:
                self.growth.setdefault(it, {})[length] = statistics.median(runs[it]) / length
            costs = "  ".join(f"{self.growth[it][length] * 1000:5.0f}" for it in present)
            self.say(f"  {length:4g} s: {costs} ms for a second of audio")


def difference(found: dict[int, Logits], reference: dict[int, Logits]) -> float:
    """Largest difference of a logit, relative to the clip's largest one."""
    worst = [np.abs(found[i] - reference[i]).max() / np.abs(reference[i]).max() for i in found]
    return float(max(worst))


def agreement(found: dict[int, Logits], reference: dict[int, Logits]) -> float:
    """Share of clips whose best label is the reference's."""
    return float(np.mean([found[i].argmax() == reference[i].argmax() for i in found]))
