"""Can requests be answered? Checked twice a second, and written to a file for the gateway's found.lua.

TorchServe's management API reports Java's own view of its workers: one that is stopped, that hangs, or whose thread in
Java has ended remains READY. So a worker counts only while its process runs, and a version only while it answers: an
empty request is sent through the queue to a worker one second after the last was answered. It may wait behind callers'
requests, so a missing answer counts against a version only if none of its workers has computed since. If one of several
workers hangs, the others still answer: it shows which batch it is processing (`speaker_id.activity`), and does not
compute.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil
from speaker_id import activity

from bundle.spec import answer_seconds
from serving.control import ManagementError, Version
from serving.host import processes
from serving.model_server import ModelServer
from serving.readiness.hung import Hung
from serving.readiness.question import Question

LOOK_SECONDS = 0.5
# between two looks at the workers' descendants, which reads every process of the machine
FAMILY_SECONDS = 2.0
# Without an answer and without computing. Too high: callers are sent to a server that does not answer. Too low: on a
# busy machine, a worker that waits for the processor is reported as not ready.
SILENT_SECONDS = 2.5
PATIENCE = 2.0  # s for the management API

Key = tuple[str, str]  # model and version


class Trouble(Enum):
    """What the server reports as ready and does not recover from."""

    STOPPED = "its process is stopped"
    ENDED = "its process has ended"
    HUNG = "it is processing a batch, and does not compute"
    SILENT = "no request is answered, and no worker computes"


@dataclass
class Found:
    """One version, as it was last seen.

    Attributes:
        default: whether requests that name no version get it.
        wanted: the least number of workers there should be.
        ready: process ids of the workers that are ready, alive and not stopped.
        reason: why it is not ready, in one line; None if it is.
        trouble: if the server reports as ready what does not answer.
        suspects: process ids of the workers to end because of it.
    """

    default: bool
    wanted: int
    ready: tuple[int, ...]
    reason: str | None = None
    trouble: Trouble | None = None
    suspects: tuple[int, ...] = ()


class Watch:
    """Watches one model server, in a separate thread.

    Args:
        server: which.
        file: the file that found.lua reads.
        degraded: what is refused although the server is ready, in one line; None where nothing is.

    Attributes:
        found: every version, as of the last look; empty if the management API did not answer.
        answered: when the management API last answered, by time.monotonic().
        ready: whether the gateway was last told that every version is ready.
    """

    def __init__(
        self, server: ModelServer, file: Path, degraded: Callable[[], str | None] = lambda: None
    ) -> None:
        self.server = server
        self.file = file
        self.degraded = degraded
        self.found: Mapping[Key, Found] = {}
        self.answered = -math.inf
        self.ready = False
        self._asked: dict[Key, Question] = {}
        self._held: Mapping[int, str] = {}  # the state of a stopped process that a worker has started
        self._families: Mapping[int, Sequence[psutil.Process]] = {}  # each worker and its descendants
        self._families_seen = -math.inf
        self._hung = Hung()
        self._over, self._hurried = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Look once, then regularly."""
        self.look()
        self._thread.start()

    def hurry(self) -> None:
        """Take the next look now."""
        self._hurried.set()

    def stop(self) -> None:
        self._over = True
        self.hurry()
        if self._thread.is_alive():
            self._thread.join()
        for question in self._asked.values():
            question.drop()

    def workers(self, model: str, version: str) -> int | None:
        """Workers that can answer; None for a version that has not been seen yet, or if nothing is known."""
        found = self.found.get((model, version))
        return None if found is None else 0 if found.trouble is Trouble.SILENT else len(found.ready)

    def look(self) -> None:
        try:
            described = dict(self._described())
        except (ManagementError, LookupError, TypeError, ValueError):  # a truncated answer, for example
            self.found = {}
        else:
            self.answered = time.monotonic()
            self._gather([pid for _, version in described.values() for pid in version.pids])
            for gone in self._asked.keys() - described.keys():
                self._asked.pop(gone).drop()
            self.found = {key: self._judge(key, *seen) for key, seen in described.items()}
        self._write()
        self.ready = bool(self.found) and all(found.reason is None for found in self.found.values())

    def _gather(self, workers: Sequence[int]) -> None:
        """Find the workers' descendants, if it is time to or a worker is new."""
        if self.answered - self._families_seen < FAMILY_SECONDS and self._families.keys() >= set(workers):
            return
        self._families_seen = self.answered
        self._families = {pid: processes.family(pid) for pid in workers}
        # a worker whose decoders are stopped accepts clips and answers none
        held = {pid: processes.stopped(family) for pid, family in self._families.items()}
        self._held = {pid: status for pid, status in held.items() if status}

    def _run(self) -> None:
        while not self._over:
            self._hurried.wait(LOOK_SECONDS)
            self._hurried.clear()
            if not self._over:
                self.look()

    def _described(self) -> Iterable[tuple[Key, tuple[bool, Version]]]:
        control = self.server.management.within(PATIENCE)
        for name in control.models():
            default = control.default(name)
            for number, version in control.versions(name).items():
                yield (name, number), (number == default, version)

    def _judge(self, key: Key, default: bool, version: Version) -> Found:
        model, number = key
        wanted, listed, ready = version.wanted, version.workers, version.pids
        states = {pid: self._held.get(pid) or processes.status(pid) for pid in ready}
        alive = [pid for pid in ready if states[pid] not in processes.STOPPED | processes.ENDED]
        hanging = tuple(pid for pid in alive if self._hung.hangs(pid, self._families[pid]))
        usable = tuple(pid for pid in alive if pid not in hanging)
        found = Found(default, wanted, usable)
        if len(usable) < max(wanted, listed, 1):
            found.reason = f"{model}: {len(usable)} of {max(wanted, listed, 1)} workers ready"
            stopped = tuple(pid for pid in ready if states[pid] in processes.STOPPED)
            found.suspects = stopped + hanging
            if len(usable) < len(ready):
                found.trouble = Trouble.STOPPED if stopped else Trouble.HUNG if hanging else Trouble.ENDED
        question = self._asked.setdefault(key, Question(time.monotonic()))
        if not ready:
            # requests of an ended worker have been answered with an error; one whose thread has ended never answers
            question.drop()
            return found
        question.follow(
            lambda: self.server.probe(model, number), {pid: self._families[pid] for pid in usable}
        )
        now = time.monotonic()
        if question.since is not None and found.reason is None:
            silent, waited = question.silent(now), now - max(question.since, question.refused)
            # a single request waits for its batch to fill; and after the gateway's timeout no caller is answered, even
            # if the workers compute
            if silent > SILENT_SECONDS + version.batch_delay or waited > answer_seconds(
                version.response_timeout
            ):
                found.reason = (
                    f"{model}: no answer for {now - question.since:.0f} s from {len(usable)} workers"
                )
                # one that shows no batch is idle, and will accept the next request
                busy = tuple(pid for pid in usable if activity.batch_of(pid))
                found.trouble, found.suspects = Trouble.SILENT, busy or usable
        return found

    def _write(self) -> None:
        now = time.time()
        ago = min(time.monotonic() - self.answered, now)
        lines = [f"{now * 1e3:.0f} {(now - ago) * 1e3:.0f} {self.degraded() or ''}".rstrip()]
        for (name, version), found in self.found.items():
            lines.append(
                f"{name} {version} {'default' if found.default else 'other'} {found.reason or 'ready'}"
            )
        new = self.file.with_suffix(".new")
        # on a full disk found.lua treats the old file as stale, and answers not ready
        with contextlib.suppress(OSError):
            new.write_text("\n".join(lines) + "\n", "utf-8")
            new.replace(self.file)
