"""The splitter's process as the gateway sees it: started with it, asked whether it answers, restarted whenever it ends
or hangs, stopped with it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path

from bundle import private
from serving.host import local_http
from serving.host.leash import Leashed
from serving.recordings.configuration import COUNTS, Configuration

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 2.0  # from SIGTERM to SIGKILL
JOIN_SECONDS = 0.2
# From its end to its restart. Too high: callers of long requests wait, and get 503 once the gateway has tried for some
# seconds. Too low: a process that cannot run is started without a pause.
PAUSE_SECONDS = 0.2
# The same at most, of one that has ended at every start without having answered, each pause being twice the one before.
# Too high: it stays so for that long after its fault has been mended. Too low: a start of a second's CPU time each.
LONGEST_PAUSE_SECONDS = 60.0
FAILED_STARTS = 3  # in a row, after which it is said to be unavailable
FIRST_ASK_SECONDS = 0.5  # between two questions whether it answers, until it has
ASK_SECONDS = 5.0  # the same from then on, and for each answer
# Without an answer, after which it is ended. Too high: callers of long requests wait for a process that hangs. Too low:
# on a busy machine, one is ended that waits for the processor.
HUNG_SECONDS = 30.0
START_SECONDS = 60.0  # the same before its first answer: it has to load
MISSED = 3  # questions in a row without an answer, at least: if this process was suspended, one of them says nothing
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "handler"))),
    # glibc's: by default each thread has an arena, of whose end `return_freed` returns nothing
    "MALLOC_ARENA_MAX": "1",
}

UNAVAILABLE = "the splitter does not start: requests for windows, and large JSON, get 503"


def pause(failed: int) -> float:
    """Return the seconds until the next start, after so many in a row without an answer."""
    return float(min(PAUSE_SECONDS * 2 ** min(failed, 16), LONGEST_PAUSE_SECONDS))


class SplitterProcess:
    """One splitter, in a process of its own, which ends with this one.

    Args:
        configuration: what it is started with.
        log: what it prints: errors.

    Attributes:
        starts: how often it was started.
        answered: whether the process that runs now has answered.
        degraded: what callers do without, in one line; None while it answers, or is expected to within seconds.
    """

    def __init__(self, configuration: Configuration, log: Path) -> None:
        self.configuration, self.log = configuration, log
        self.starts = 0
        self.answered = False
        self.degraded: str | None = None
        self._process: Leashed | None = None
        self._failed = 0  # starts in a row without an answer
        self._said: deque[str] = deque()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("splitter", self._keep), ("splitter-asked", self._ask))
        ]

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it; requests that arrive before it listens wait in the gateway."""
        self._file = self.configuration.write()
        self._start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it at once; drain the gateway before."""
        self._over.set()
        patience = time.monotonic() + STOP_SECONDS
        keeping, asking = self._threads
        while keeping.is_alive() and self._process is not None:
            if time.monotonic() < patience:
                self._process.terminate()
            else:
                self._process.kill()
            keeping.join(JOIN_SECONDS)
        if asking.is_alive():
            asking.join()

    def counts(self, seconds: float = local_http.SECONDS) -> dict[str, int]:
        """What it has counted since its start. Raises OSError, ValueError, http.client.HTTPException."""
        answer = local_http.ask(local_http.unix(self.configuration.listen, seconds), "GET", COUNTS)
        found: dict[str, int] = json.loads(answer.body)
        return found

    def news(self) -> str | None:
        """What has happened to it, in one line, each once; to be called repeatedly."""
        return self._said.popleft() if self._said else None

    def _start(self) -> None:
        self.answered = False
        with self.log.open("ab") as log:
            self.log.chmod(0o600)
            self._process = Leashed(
                [sys.executable, "-m", "serving.recordings", str(self._file)],
                stdout=log,
                stderr=log,
                umask=private.UMASK,
                env={**os.environ, **ENVIRONMENT},
            )
        self.starts += 1

    def _keep(self) -> None:
        """Restart it whenever it ends, until `stop`."""
        while self._process is not None:
            self._process.wait()
            self._process.release()
            self._failed = 0 if self.answered else self._failed + 1
            if self._failed == FAILED_STARTS:
                self._said.append(f"{UNAVAILABLE} (log: {self.log})")
                self.degraded = UNAVAILABLE
            if self._over.wait(pause(self._failed)):
                return
            # no memory for a process, for example: another attempt follows
            with contextlib.suppress(OSError):
                self._start()

    def _ask(self) -> None:
        """Ask it regularly, and end it when it does not answer, until `stop`."""
        asked, missed, since = None, 0, 0.0
        while not self._over.wait(ASK_SECONDS if self.answered else FIRST_ASK_SECONDS):
            process = self._process
            if process is not asked:
                asked, missed, since = process, 0, time.monotonic()
            try:
                self.counts(ASK_SECONDS)
            except (*local_http.FAULTS, ValueError):
                missed += 1
            else:
                missed, since = 0, time.monotonic()
                if process is self._process:
                    self.answered = True
                if self.degraded:
                    self._said.append("the splitter answers again")
                    self.degraded = None
            patience = HUNG_SECONDS if self.answered else START_SECONDS
            hangs = missed >= MISSED and time.monotonic() - since > patience
            if hangs and process is not None and process.poll() is None:
                self._said.append(f"the splitter has not answered for {patience:.0f} s: restarted")
                process.kill()
