"""Can requests be answered? Looked at twice a second, and written down for the gateway's health.lua to answer from.

TorchServe's management API states what Java remembers of its workers: one that is stopped, that hangs, or whose thread
in Java has ended is READY for ever. So a worker counts only as long as its process lives, and a version only as long as
it answers: a request of no bytes goes through the queue to a worker whenever the last was answered a second ago. It may
wait behind honest work, so an unanswered one is held against a version only once none of its workers has computed
anything since. One of several workers that hangs leaves the answers to the others: it shows which batch it has in hand
(`speaker_id.activity`), and computes nothing.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil
from speaker_id import activity

from serving.host import processes
from serving.host.ports import LOOPBACK
from serving.torchserve import hung
from serving.torchserve.hung import Hung
from serving.torchserve.management import Management, ManagementError
from serving.torchserve.probe import Probe
from serving.torchserve.process import MANAGEMENT_SOCKET, TorchServe

LOOK_SECONDS = 0.5
FAMILY_SECONDS = (
    2.0  # between two looks at what workers have started, which reads every process of the machine
)
ASK_SECONDS = 1.0  # from an answer to the next question
# Without an answer and without work. Too high: callers are sent to a server that does not answer. Too low: a busy
# machine that lets a worker wait for the processor makes it not ready.
SILENT_SECONDS = 2.5
PATIENCE = 2.0  # s for the management API
HELD = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}
ENDED = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}

Key = tuple[str, str]  # model and version


class Trouble(Enum):
    """What TorchServe takes for READY and will not mend."""

    STOPPED = "its process is stopped"
    ENDED = "its process has ended"
    HUNG = "it has a batch in hand, and computes nothing"
    SILENT = "nothing is answered, and nothing is computed"


@dataclass
class Found:
    """One version, as it was last seen.

    Attributes:
        default: whether requests that name no version get it.
        wanted: workers that there should be at least.
        ready: process ids of the workers that are READY, alive and not stopped.
        reason: why it is not ready, in one line; None if it is.
        trouble: where TorchServe takes for READY what does not answer.
        suspects: process ids of the workers to end because of it.
    """

    default: bool
    wanted: int
    ready: tuple[int, ...]
    reason: str | None = None
    trouble: Trouble | None = None
    suspects: tuple[int, ...] = ()


@dataclass
class _Question:
    """The one that a version was asked last.

    Attributes:
        since: when the oldest request that is unanswered was sent; None while none is.
        answered: when the last answer was received.
        worked: when a worker was last seen to compute.
        refused: when one was last refused at once, since the queue is full, which is an answer of TorchServe's alone.
    """

    answered: float
    since: float | None = None
    worked: float = 0.0
    refused: float = 0.0
    probe: Probe | None = None
    cpu: dict[int, float] = field(default_factory=dict)

    def drop(self) -> None:
        if self.probe is not None:
            self.probe.close()
        self.probe = self.since = None

    def silent(self, now: float) -> float:
        """Seconds without an answer and without work; 0 while nothing waits."""
        return 0.0 if self.since is None else now - max(self.since, self.worked)


class Watch:
    """Looks after one TorchServe, in a thread of its own.

    Args:
        server: which.
        file: where health.lua reads it.

    Attributes:
        found: every version, as of the last look; empty where the management API did not answer.
        answered: when the management API last answered, by time.monotonic().
    """

    def __init__(self, server: TorchServe, file: Path) -> None:
        self.server = server
        self.file = file
        self.found: Mapping[Key, Found] = {}
        self.answered = -math.inf
        self._asked: dict[Key, _Question] = {}
        self._held: Mapping[int, str] = {}  # the state of a stopped process that a worker has started
        self._families_seen = -math.inf
        self._hung = Hung()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Look once, then again and again."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        for question in self._asked.values():
            question.drop()

    def workers(self, model: str, version: str) -> int | None:
        """Workers that can answer; None for a version that has not been seen yet, or where nothing is known."""
        found = self.found.get((model, version))
        return None if found is None else 0 if found.trouble is Trouble.SILENT else len(found.ready)

    def look(self) -> None:
        try:
            described = dict(self._described())
        except (ManagementError, LookupError, TypeError, ValueError):  # an answer that was cut short
            self.found = {}
        else:
            self.answered = time.monotonic()
            if self.answered - self._families_seen >= FAMILY_SECONDS:
                self._families_seen = self.answered
                workers = [pid for _, entry in described.values() for pid in _ready(entry)]
                # a worker whose decoders are stopped takes clips and answers none
                self._held = {pid: status for pid in workers if (status := _held_by_its_own(pid))}
            for gone in self._asked.keys() - described.keys():
                self._asked.pop(gone).drop()
            self.found = {key: self._judge(key, *entry) for key, entry in described.items()}
        self._write()

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.look()

    def _described(self) -> Iterable[tuple[Key, tuple[bool, dict[str, Any]]]]:
        temp = self.server.temp
        if temp is None:
            raise ManagementError("TorchServe is being started again")
        management = Management(temp / MANAGEMENT_SOCKET, PATIENCE)
        for name in management.models():
            default = management.default(name)
            for entry in management.describe(name):
                version = entry["modelVersion"]
                yield (name, version), (version == default, entry)

    def _judge(self, key: Key, default: bool, entry: Mapping[str, Any]) -> Found:
        model = key[0]
        wanted, listed = int(entry["minWorkers"]), len(entry["workers"])
        ready = _ready(entry)
        states = {pid: self._held.get(pid) or _status(pid) for pid in ready}
        hanging = tuple(pid for pid in ready if states[pid] not in HELD | ENDED and self._hung.hangs(pid))
        usable = tuple(pid for pid in ready if states[pid] not in HELD | ENDED and pid not in hanging)
        found = Found(default, wanted, usable)
        if len(usable) < max(wanted, listed, 1):
            found.reason = f"{model}: {len(usable)} of {max(wanted, listed, 1)} workers ready"
            stopped = tuple(pid for pid in ready if states[pid] in HELD)
            found.suspects = stopped + hanging
            if len(usable) < len(ready):
                found.trouble = Trouble.STOPPED if stopped else Trouble.HUNG if hanging else Trouble.ENDED
        question = self._asked.setdefault(key, _Question(time.monotonic()))
        if not ready:
            # a worker that has ended has answered what it had; one whose thread has ended never will
            question.drop()
            return found
        self._question(question, key, usable)
        now = time.monotonic()
        if question.since is not None and found.reason is None:
            silent, waited = question.silent(now), now - max(question.since, question.refused)
            # a lone request waits for maxBatchDelay; and past the time for which the gateway keeps callers waiting
            # (two batches' responseTimeout, and a minute) nobody is answered, however much is computed
            if (
                silent > SILENT_SECONDS + entry["maxBatchDelay"] / 1000
                or waited > 2 * entry["responseTimeout"] + 60
            ):
                found.reason = (
                    f"{model}: no answer for {now - question.since:.0f} s from {len(usable)} workers"
                )
                # one that shows no batch is idle, and lets the next request through
                busy = tuple(pid for pid in usable if activity.batch_of(pid))
                found.trouble, found.suspects = Trouble.SILENT, busy or usable
        return found

    def _question(self, question: _Question, key: Key, pids: Iterable[int]) -> None:
        """Ask again where it is time to, take what was answered, and see whether the workers compute."""
        now = time.monotonic()
        if question.probe is not None:
            reply = question.probe.reply()
            if reply is not None:
                question.probe.close()
                question.probe = None
                if reply.answered:
                    question.answered, question.since = now, None
                elif reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
                    question.refused = now
        if question.probe is None and (question.since is not None or now - question.answered >= ASK_SECONDS):
            question.since = question.since or now
            with contextlib.suppress(OSError):  # asked again at the next look
                ports = self.server.ports
                question.probe = Probe(LOOPBACK, ports.inference, "/predictions/{}/{}".format(*key))
        if question.since is None or now - question.since < hung.SUSPECT_SECONDS:
            question.cpu.clear()
            return
        before, question.cpu = question.cpu, {pid: hung.cpu(pid) for pid in pids}
        if any(used - before.get(pid, used) > hung.WORK for pid, used in question.cpu.items()):
            question.worked = now

    def _write(self) -> None:
        now = time.time()
        ago = min(time.monotonic() - self.answered, now)
        lines = [f"{now * 1e3:.0f} {(now - ago) * 1e3:.0f}"]
        for (name, version), found in self.found.items():
            lines.append(
                f"{name} {version} {'default' if found.default else 'other'} {found.reason or 'ready'}"
            )
        new = self.file.with_suffix(".new")
        # a full disk: health.lua takes the old one for stale, and says not ready
        with contextlib.suppress(OSError):
            new.write_text("\n".join(lines) + "\n", "utf-8")
            new.replace(self.file)


def _ready(entry: Mapping[str, Any]) -> list[int]:
    """Process ids of the workers that TorchServe calls READY; one that is starting has none yet."""
    return [worker["pid"] for worker in entry["workers"] if worker["status"] == "READY"]


def _status(pid: int) -> str:
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_DEAD)


def _held_by_its_own(pid: int) -> str | None:
    """The state of a process that this one has started and that is stopped; None if there is none."""
    for process in processes.family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            if (status := str(process.status())) in HELD:
                return status
    return None
