"""Does one version answer? One small request after another is sent through its queue to a worker."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import psutil

from serving.host import processes
from serving.model_server import Probe
from serving.readiness import hung

ASK_SECONDS = 1.0  # from an answer to the next question


@dataclass
class Question:
    """What a version was last asked, and whether its workers have computed since.

    Attributes:
        answered: when the last answer was received.
        since: when the oldest request that is unanswered was sent; None if there is none.
        worked: when a worker was last seen to compute.
        refused: when one was last refused at once because the queue was full: only the server itself has answered then.
    """

    answered: float
    since: float | None = None
    worked: float = 0.0
    refused: float = 0.0
    probe: Probe | None = None
    cpu: dict[int, float] = field(default_factory=dict)

    def drop(self) -> None:
        """Forget what is unanswered."""
        if self.probe is not None:
            self.probe.close()
        self.probe = self.since = None

    def silent(self, now: float) -> float:
        """Seconds without an answer and without work; 0 while nothing waits."""
        return 0.0 if self.since is None else now - max(self.since, self.worked)

    def follow(self, ask: Callable[[], Probe], workers: Mapping[int, Sequence[psutil.Process]]) -> None:
        """Receive what was answered, ask again when it is time to, and see whether the workers compute.

        Args:
            ask: sends the next question; may raise OSError.
            workers: by process id, each and its descendants.
        """
        now = time.monotonic()
        self._receive(now)
        if self.probe is None and (self.since is not None or now - self.answered >= ASK_SECONDS):
            self.since = self.since or now
            with contextlib.suppress(OSError):  # asked again at the next look
                self.probe = ask()
        if self.since is None or now - self.since < hung.SUSPECT_SECONDS:
            self.cpu.clear()
            return
        before, self.cpu = (
            self.cpu,
            {pid: processes.all_cpu_seconds(family) for pid, family in workers.items()},
        )
        if any(used - before.get(pid, used) > hung.WORK for pid, used in self.cpu.items()):
            self.worked = now

    def _receive(self, now: float) -> None:
        if self.probe is None or (reply := self.probe.reply()) is None:
            return
        self.probe.close()
        self.probe = None
        if reply.answered:
            self.answered, self.since = now, None
        elif reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.refused = now
