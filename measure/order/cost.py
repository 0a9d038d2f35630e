"""Processor time a second of audio, and peak memory: of a recording in windows, of single clips, of one long clip."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from measure.order.sounds import IN_WINDOWS, LONG, LONG_CLIP_SECONDS, SINGLE, Sounds
from measure.order.traffic import WINDOWS, Bulk, session
from measure.sampling import resident, sampled
from serving.service import Service

CALLERS = 8  # of single clips at a time: as many as make full batches
SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """What one kind of request cost in one round.

    Attributes:
        kind: which.
        cpu: processor seconds of all the server's processes a second of audio.
        throughput: seconds of audio in a second.
        peak: largest memory of all its processes together, in bytes, shared pages counted in each.
    """

    kind: str
    round: int
    cpu: float
    throughput: float
    peak: int

    def row(self) -> dict[str, Any]:
        return asdict(self)


def processes(service: Service) -> list[psutil.Process]:
    """The server's processes: model server, gateway, splitter, and what they started."""
    splitter = service.gateway.splitter
    pids = (service.server.pid, service.gateway.pid, splitter.pid if splitter else None)
    found: list[psutil.Process] = []
    for pid in filter(None, pids):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


def spent(service: Service) -> float:
    """Processor seconds of the server so far, those of ended children included."""
    total = 0.0
    for process in processes(service):
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


@dataclass
class Meter:
    """Measures what a block costs; `seconds` of audio is set inside it."""

    service: Service
    seconds: float = 0.0
    cpu: float = 0.0
    passed: float = 0.0
    peak: int = 0

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        def look() -> None:
            self.peak = max(self.peak, resident(processes(self.service)))

        before, began = spent(self.service), time.monotonic()
        with sampled(look, SAMPLE_SECONDS):
            yield
        self.passed, self.cpu = time.monotonic() - began, spent(self.service) - before

    def cost(self, kind: str, number: int) -> Cost:
        return Cost(kind, number, self.cpu / self.seconds, self.seconds / self.passed, self.peak)


def costs(service: Service, url: str, sounds: Sounds, number: int, seconds: float) -> Iterator[Cost]:
    """Yield what each kind costs, in one round.

    Args:
        seconds: for which single clips are sent.
    """
    meter = Meter(service)
    with meter.measuring():
        meter.seconds = _singles(url, sounds, seconds)
    yield meter.cost(SINGLE, number)
    for kind, body, headers, length in (
        (LONG, sounds.long_clip, {"Content-Type": "audio/wav"}, LONG_CLIP_SECONDS),
        (IN_WINDOWS, sounds.recording, WINDOWS, sounds.seconds),
    ):
        meter = Meter(service, length)
        with meter.measuring(), session() as opened:
            opened.post(url, body, headers=headers, timeout=600).raise_for_status()
        yield meter.cost(kind, number)


def _singles(url: str, sounds: Sounds, seconds: float) -> float:
    """Keep CALLERS single clips in flight for so long; the seconds of audio that were answered."""
    end = time.monotonic() + seconds
    headers = {"Content-Type": "audio/wav"}
    bulk = [Bulk(url, clip.path.read_bytes(), headers, 1) for clip in sounds.clips[:CALLERS]]
    with ThreadPoolExecutor(CALLERS) as pool:
        for each in [pool.submit(each.send, lambda: time.monotonic() > end) for each in bulk]:
            each.result()
    return sum(each.seconds for each in bulk)
