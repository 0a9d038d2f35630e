"""Recover what the watch finds broken, in steps: end its workers, let the server restart them, restart the server.
The server itself recovers a worker that has ended or is too slow."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from serving.control import ManagementError
from serving.model_server import ModelServer, ServerError
from serving.readiness.hung import SUSPENDED
from serving.readiness.watch import Found, Key, Trouble, Watch

# Seconds of one trouble until the first step. Too high: callers wait. Too low: a worker that would have recovered by
# itself loses its batch (the gateway retries it, once). A hung worker has had its time.
FIRST_STEP = {Trouble.STOPPED: 10.0, Trouble.ENDED: 10.0, Trouble.HUNG: 0.0, Trouble.SILENT: 30.0}
NEXT_STEP = 15.0  # from one step to the next, if it does not help
NO_ANSWER = 30.0  # s without an answer of the management API until the server is restarted
LEAST_PAUSE = 600.0  # s between two restarts of the server; if it fails sooner, `make serve` ends


@dataclass
class _Case:
    """One version's trouble: when it began, how many steps were taken, and when the next is due."""

    began: float
    steps: int
    due: float


class Repair:
    """Recovers one model server, which is watched from now on.

    Args:
        server: which.
        patience: seconds that all its models may take to load after a restart.
        start_again: restarts it.
    """

    def __init__(self, server: ModelServer, patience: float, start_again: Callable[[], None]) -> None:
        self.server = server
        self.patience = patience
        self.start_again = start_again
        self._cases: dict[Key, _Case] = {}
        self._again = -math.inf  # when the server was last started again
        self._watched = self._stepped = time.monotonic()

    def step(self, watch: Watch) -> str | None:
        """Do the step that is due; to be called repeatedly.

        Returns:
            What was done, in one line; None if nothing was due.

        Raises:
            ServerError: nothing more can be done here.
        """
        try:
            return self._due(watch, time.monotonic())
        finally:
            self._stepped = time.monotonic()  # at its end: a restart takes longer than SUSPENDED

    def _due(self, watch: Watch, now: float) -> str | None:
        if now - self._stepped > SUSPENDED:  # between two steps: what was seen before is old
            self._watched = now
            self._cases.clear()
            return None
        if now - self._again < self.patience:
            return None  # it is loading
        if now - max(watch.answered, self._watched, self._again) > NO_ANSWER:
            return self._start_again(f"has not answered for {NO_ANSWER:.0f} s")
        found = dict(watch.found)
        for key in self._cases.keys() - found.keys():
            del self._cases[key]
        for key, version in found.items():
            if version.trouble is None:
                self._cases.pop(key, None)
                continue
            case = self._cases.setdefault(key, _Case(now, 0, now + FIRST_STEP[version.trouble]))
            if now >= case.due:
                case.steps, case.due = case.steps + 1, now + NEXT_STEP
                return self._next(key, version, case)
        return None

    def _next(self, key: Key, version: Found, case: _Case) -> str:
        model, number = key
        if case.steps == 1 and version.suspects:
            for pid in version.suspects:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pids = ", ".join(map(str, version.suspects))
            return f"{version.reason}: ended {pids}; {self.server.title} starts others in their place"
        if case.steps <= 2:
            case.steps = 2
            with contextlib.suppress(ManagementError):
                self.server.management.restart(model, number, max(version.wanted, 1))
            return f"{version.reason}: {self.server.title} is told to restart its workers"
        return self._start_again(f"does not recover {model} {number} ({version.reason})")

    def _start_again(self, why: str) -> str:
        now = time.monotonic()
        if now - self._again < LEAST_PAUSE:
            raise ServerError(
                f"{self.server.title} {why}, although it was restarted (logs: {self.server.run})"
            )
        self._again = now
        self._cases.clear()
        self.start_again()
        return f"{self.server.title} {why}: restarted"
