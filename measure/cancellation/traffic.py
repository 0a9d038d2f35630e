"""One run: callers who stay, and beside them those who hang up → how long the first wait, and what was encoded."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from measure import MeasureError
from measure.cancellation.storm import Storm, storm
from measure.loadtest import arrivals
from measure.loadtest.comparison import Run, milliseconds
from measure.loadtest.drive import drive, plan
from measure.loadtest.target import Clip, Target
from serving.host.polling import wait_until
from serving.metrics.served import Served
from serving.service import Service

ALONE, UNHEARD, HEARD = CONDITIONS = ("nobody", "callers, and the workers do not know", "callers")
STEADY_SECONDS = 1.5  # without a change the queues are empty
DRAIN_SECONDS = 120.0  # the longest that they may take


@dataclass(frozen=True)
class CancellationRun(Run):
    """Figures of one run: latencies and failures of the stayers.

    Attributes:
        hung_up: callers that did.
        hung_up_seconds: of audio that they had sent.
        encoded_seconds: of audio, of all callers.
        for_nobody_seconds: of it, what is of neither the stayers nor those of the storm that were answered.
    """

    hung_up: int
    hung_up_seconds: float
    encoded_seconds: float
    for_nobody_seconds: float


@dataclass(frozen=True)
class Traffic:
    """What is sent in every run.

    Attributes:
        service: the server.
        model: its model.
        clips: in random order.
        stayers: requests a second of those who wait for their answers.
        storm: callers at once who do not.
        every: seconds from one time to the next.
        patience: seconds after which those hang up.
        seconds: of a run.
    """

    service: Service
    model: str
    clips: Sequence[Clip]
    stayers: float
    storm: int
    every: float
    patience: float
    seconds: float

    def run(self, condition: str, number: int) -> CancellationRun:
        """Send, wait for all answers and until the queues are empty."""
        before = self.encoded()
        gateway = self.service.gateway
        path = f"/predictions/{self.model}"
        with contextlib.ExitStack() as stack:
            found = Storm()
            if condition == UNHEARD:
                stack.enter_context(unheard(gateway.cancelled))
            if condition != ALONE:
                found = stack.enter_context(
                    storm(gateway.port, path, self.bodies, self.storm, self.every, self.patience)
                )
            moments = arrivals.times("poisson", self.stayers, self.seconds, number)
            todo = plan(self.clips, [Target(gateway.url + path)], moments, self.seconds, number)
            records = drive(todo)
            found.over.set()
            encoded = self.drained() - before  # before the workers hear again of who has hung up
        answered = [each for each in records if each.error is None]
        own = sum(each.audio_seconds for each in answered) + self.audio(found.answered)
        return CancellationRun(
            condition=condition,
            round=number,
            latencies=milliseconds(each.latency for each in answered),
            failed=len(records) - len(answered),
            hung_up=len(found.hung_up),
            hung_up_seconds=round(self.audio(found.hung_up), 1),
            encoded_seconds=round(encoded, 1),
            for_nobody_seconds=round(max(0.0, encoded - own), 1),
        )

    @cached_property
    def bodies(self) -> list[bytes]:
        return [clip.path.read_bytes() for clip in self.clips]

    def audio(self, sent: Sequence[int]) -> float:
        """Seconds of the clips that these callers sent."""
        return sum(self.clips[which].seconds for which in sent)

    def encoded(self) -> float:
        """Seconds of audio that the workers have decoded and not left out, since the start."""
        server = self.service.server
        served = Served({self.model: list(server.management.versions(self.model))})
        return sum(
            sample.value
            for family in server.metrics(served)
            for sample in family.samples
            if sample.name == "speaker_id_batch_audio_seconds_sum"
        )

    def drained(self) -> float:
        """The same once it no longer changes."""
        latest, since = self.encoded(), time.monotonic()

        def steady() -> bool:
            nonlocal latest, since
            if (now := self.encoded()) != latest:
                latest, since = now, time.monotonic()
            return time.monotonic() - since >= STEADY_SECONDS

        if not wait_until(steady, DRAIN_SECONDS):
            raise MeasureError(f"the server still works {DRAIN_SECONDS:g} s after the last request")
        return latest


@contextlib.contextmanager
def unheard(file: Path) -> Iterator[None]:
    """For the block, workers do not find what the gateway goes on writing, as without the feature."""
    aside = file.with_suffix(".aside")
    file.rename(aside)
    try:
        yield
    finally:
        aside.rename(file)
