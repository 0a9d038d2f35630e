"""The processes of one loader in one layout: started once, asleep until told to run, ended with the run.

Only one team computes at a time. The others wait for their next call, and their OpenMP threads (libgomp's in torch's
wheels) spin for milliseconds after a region, then sleep; `EncoderContest.foreign_cores` includes that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from speaker_id.clip import Waveform

from bundle import BundleError
from measure import Unavailable
from measure.bench import BUILD, environments, worker
from measure.bench.engines import Contestant, Engine, Logits
from measure.bench.worker import Turn
from measure.command import process
from measure.workload import deal
from serving.host import allocator
from serving.host.processes import cpu_seconds


@dataclass(frozen=True)
class TeamRun:
    """Wall time from go to the last answer, in seconds, and memory of the processes, in bytes."""

    seconds: float
    logits: Logits
    peak: int


class Team:
    """Context manager; entering waits until every process is loaded and warm.

    Raises:
        Unavailable: why this contestant cannot run here.
    """

    def __init__(self, contestant: Contestant, folder: Path) -> None:
        self.contestant, self.folder = contestant, folder
        self.backend = ""
        self.workers: list[ProcessPoolExecutor] = []
        self.processes: list[psutil.Process] = []

    def __enter__(self) -> Team:
        it = self.contestant
        packages = environments.packages(it.engine.packages) if it.engine.packages else ""
        try:
            with environment(variables(it)):
                self.workers = [process() for _ in range(it.layout.workers)]
                given = (it.engine.loader, self.folder, it.layout.threads, it.allocator, packages)
                loading = [each.submit(worker.load, *given) for each in self.workers]
            for pid, self.backend in results(loading):
                self.processes.append(psutil.Process(pid))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """At once: an orderly exit of torch takes a second a process."""
        for each in self.processes:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        for pool in self.workers:
            pool.shutdown()

    def run(self, engine: Engine, clips: Sequence[Waveform]) -> TeamRun:
        """All processes share the clips; handing them over is not timed."""
        shares = [share for share in deal([len(clip) for clip in clips], len(self.workers)) if share]
        turns = [Turn(engine, [clips[index] for index in share]) for share in shares]
        busy = self.workers[: len(shares)]
        results([each.submit(worker.receive, turn) for each, turn in zip(busy, turns, strict=True)])
        started = time.perf_counter()
        answers = results([each.submit(worker.work) for each in busy])
        seconds = time.perf_counter() - started
        rows = {
            index: row
            for share, answer in zip(shares, answers, strict=True)
            for index, row in zip(share, answer.logits, strict=True)
        }
        logits = np.stack([rows[index] for index in range(len(clips))])
        return TeamRun(seconds, logits, sum(answer.peak for answer in answers))

    def cpu_seconds(self) -> float:
        """Processor time that its processes have used so far."""
        return sum(map(cpu_seconds, self.processes))


def results(futures: Sequence[Future[Any]]) -> list[Any]:
    """What the processes answer.

    Raises:
        Unavailable: one of them cannot, or has ended.
    """
    try:
        return [future.result() for future in futures]
    except Unavailable:
        raise
    except Exception as exc:  # it was ended, such as by the kernel for want of memory
        raise Unavailable(f"{type(exc).__name__}: {exc}") from exc


def variables(contestant: Contestant) -> dict[str, str]:
    """What the environment must hold before a process starts."""
    threads = str(contestant.layout.threads)
    chosen = {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(BUILD / "inductor"),  # a later run compiles less
    }
    try:
        return chosen | allocator.environment(contestant.allocator)
    except BundleError as exc:
        raise Unavailable(str(exc)) from exc


@contextmanager
def environment(chosen: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the length of the block; a spawned process inherits them."""
    before = dict(os.environ)
    os.environ.update(chosen)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
