"""The processes of one loader in one layout: started once, asleep until told to run, ended with the run.

Only one team computes at a time. The others wait in a read of their pipe, and their OpenMP threads, libgomp's in
torch's wheels, spin for milliseconds after a region and then sleep on a futex; `Contest.foreign_cores` measures it.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from speaker_id.clip import Waveform

from bundle import BundleError
from measure import Unavailable
from measure.bench.engines import Contestant, Engine
from measure.bench.loaders import Logits
from measure.bench.worker import Answer, Failed, Turn, work
from measure.workload import deal
from serving.host import allocator

SPAWN = multiprocessing.get_context("spawn")  # a fresh interpreter, so that its environment takes hold
END_SECONDS = 10.0


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
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []

    def __enter__(self) -> Team:
        try:
            with environment(variables(self.contestant)):
                for _ in range(self.contestant.layout.workers):
                    self.start()
            for pipe in self.pipes:
                state = self.receive(pipe)
                if isinstance(state, Failed):
                    raise Unavailable(state.reason)
                self.backend = state.backend
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        ours, theirs = SPAWN.Pipe()
        it = self.contestant
        process = SPAWN.Process(
            target=work,
            args=(theirs, it.engine.loader, self.folder, it.layout.threads, it.allocator),
            daemon=False,  # an engine may start processes of its own, to export a model
        )
        process.start()
        theirs.close()  # so that a dead worker ends our read
        self.pipes.append(ours)
        self.processes.append(process)

    def close(self) -> None:
        """Workers end when their pipe closes; one that does not is ended."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        self.pipes, self.processes = [], []

    def receive(self, pipe: Connection) -> Any:
        try:
            return pipe.recv()
        except (EOFError, ConnectionError) as exc:
            process = self.processes[self.pipes.index(pipe)]
            process.join(END_SECONDS)
            raise Unavailable(f"its process ended with exit code {process.exitcode}; out of memory?") from exc

    def run(self, engine: Engine, clips: Sequence[Waveform]) -> TeamRun:
        """All processes share the clips; handing them over is not timed."""
        shares = [share for share in deal([len(clip) for clip in clips], len(self.pipes)) if share]
        busy = self.pipes[: len(shares)]
        for pipe, share in zip(busy, shares, strict=True):
            pipe.send(Turn(engine, [clips[index] for index in share]))
        for pipe in busy:
            self.receive(pipe)
        started = time.perf_counter()
        for pipe in busy:
            pipe.send("go")
        answers: list[Answer] = [self.receive(pipe) for pipe in busy]
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
        used = 0.0
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                times = psutil.Process(process.pid).cpu_times()
                used += times.user + times.system
        return used


def variables(contestant: Contestant) -> dict[str, str]:
    """What the environment must hold before a process starts."""
    threads = str(contestant.layout.threads)
    chosen = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}
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
