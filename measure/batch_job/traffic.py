"""Live callers, and a batch job that runs beside them in every other phase, and is killed in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from measure.batch_job.job import Job
from measure.loadtest import LoadTestError
from measure.loadtest.comparison import Run, milliseconds
from measure.loadtest.drive import Record, drive
from measure.loadtest.phases import START_SECONDS, Phase, requests
from measure.loadtest.target import Clip, Target

PAUSED, RUNS = CONDITIONS = ("no", "yes")


@dataclass(frozen=True)
class JobRun(Run):
    """Figures of the live callers in one phase.

    Attributes:
        clips: that the job had answered in it, a second.
    """

    clips: float


@dataclass
class Conductor:
    """Pauses and resumes the job by the phases, and kills it once.

    Attributes:
        lines: answers at the start of each phase, and at the end of the last.
        killed_at: answers when it was killed; None if it had ended by then.
    """

    job: Job
    order: Sequence[Phase]
    begin: float

    def __post_init__(self) -> None:
        self.lines: list[int] = []
        self.killed_at: int | None = None
        self._over = threading.Event()

    def run(self) -> None:
        middle = next(place for place, phase in enumerate(self.order) if self._is_middle(place, phase))
        for place, phase in enumerate(self.order):
            if self._wait(phase.start):
                return
            self.lines.append(self.job.lines())
            if phase.condition == PAUSED:
                self.job.pause()
            else:
                self.job.resume()
            if place == middle:
                if self._wait(phase.start + phase.seconds / 2):
                    return
                if self.job.kill():
                    self.killed_at = self.job.lines()
                self.job.resume()  # as who starts it again at once
        self._wait(self.order[-1].start + self.order[-1].seconds)
        self.lines.append(self.job.lines())

    def stop(self) -> None:
        self._over.set()

    def _is_middle(self, place: int, phase: Phase) -> bool:
        return phase.condition == RUNS and place >= len(self.order) // 2

    def _wait(self, moment: float) -> bool:
        """Until then, in seconds from the start; whether it is over before."""
        return self._over.wait(max(0.0, self.begin + moment - time.monotonic()))


def run(
    job: Job, total: int, clips: Sequence[Clip], url: str, rate: float, order: Sequence[Phase]
) -> tuple[list[JobRun], int | None]:
    """Send the live requests through all phases.

    Args:
        job: runs in the phases of RUNS, and goes on after the last.
        total: its clips.
        clips: of the live callers.
        url: of inference.
        rate: live requests a second.
        order: the phases.

    Returns:
        Figures of each phase, of the rounds before the job's end, and how many answers there were when it was killed.
    """
    begin = time.monotonic() + START_SECONDS
    conductor = Conductor(job, order, begin)
    with ThreadPoolExecutor(1) as pool:
        conducted = pool.submit(conductor.run)
        try:
            records = drive(requests(clips, [Target(url)], rate, order, begin))
        except BaseException:
            conductor.stop()
            raise
        conducted.result()
    if not (kept := rounds(order, conductor.lines, total)):
        raise LoadTestError("the job ended within the first round: give it more clips")
    return [
        figures(phase, records, (conductor.lines[place + 1] - conductor.lines[place]) / phase.seconds)
        for place, phase in enumerate(order)
        if phase.round in kept
    ], conductor.killed_at


def rounds(order: Sequence[Phase], lines: Sequence[int], total: int) -> set[int]:
    """Those in which the job had clips left until their end.

    Args:
        order: the phases.
        lines: answers at the start of each phase, and at the end of the last.
        total: clips of the job.
    """
    ended = {phase.round for place, phase in enumerate(order) if lines[place + 1] >= total}
    return {phase.round for phase in order} - ended


def figures(phase: Phase, records: Sequence[Record], clips: float) -> JobRun:
    """What one phase shows."""
    felt = [each for each in records if phase.counts(each)]
    if not felt:
        raise LoadTestError("next to nothing was sent in a phase: give it more seconds")
    return JobRun(
        condition=phase.condition,
        round=phase.round,
        latencies=milliseconds(each.latency for each in felt),
        failed=sum(each.error is not None for each in felt),
        clips=round(clips, 1),
    )
