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
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from speaker_id import activity

from serving.host import processes
from serving.torchserve.hung import Hung
from serving.torchserve.management import Management, ManagementError
from serving.torchserve.process import MANAGEMENT_SOCKET, TorchServe
from serving.torchserve.question import Question

LOOK_SECONDS = 0.5
FAMILY_SECONDS = (
    2.0  # between two looks at what workers have started, which reads every process of the machine
)
# Without an answer and without work. Too high: callers are sent to a server that does not answer. Too low: a busy
# machine that lets a worker wait for the processor makes it not ready.
SILENT_SECONDS = 2.5
PATIENCE = 2.0  # s for the management API

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
        self._asked: dict[Key, Question] = {}
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
                self._held = {pid: status for pid in workers if (status := processes.stopped_in_family(pid))}
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
            raise ManagementError("TorchServe is being restarted")
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
        states = {pid: self._held.get(pid) or processes.status(pid) for pid in ready}
        alive = [pid for pid in ready if states[pid] not in processes.STOPPED | processes.ENDED]
        hanging = tuple(pid for pid in alive if self._hung.hangs(pid))
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
            # a worker that has ended has answered what it had; one whose thread has ended never will
            question.drop()
            return found
        path = "/predictions/{}/{}".format(*key)
        question.follow(self.server.ports.inference, path, usable)
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
