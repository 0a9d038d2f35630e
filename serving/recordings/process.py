"""The splitter's process as the gateway sees it: started with it, restarted whenever it ends, stopped with it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
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


class SplitterProcess:
    """One splitter, in a process of its own, which ends with this one.

    Args:
        configuration: what it is started with.
        log: what it prints: errors.
    """

    def __init__(self, configuration: Configuration, log: Path) -> None:
        self.configuration, self.log = configuration, log
        self.starts = 0
        self._process: Leashed | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="splitter", daemon=True)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it; requests that arrive before it listens wait in the gateway."""
        self._file = self.configuration.write()
        self._start()
        self._thread.start()

    def stop(self) -> None:
        """End it at once; drain the gateway before."""
        self._over.set()
        patience = time.monotonic() + STOP_SECONDS
        while self._thread.is_alive() and self._process is not None:
            if time.monotonic() < patience:
                self._process.terminate()
            else:
                self._process.kill()
            self._thread.join(JOIN_SECONDS)

    def counts(self) -> dict[str, int]:
        """What it has counted since its start. Raises OSError, ValueError, http.client.HTTPException."""
        answer = local_http.ask(local_http.unix(self.configuration.listen), "GET", COUNTS)
        found: dict[str, int] = json.loads(answer.body)
        return found

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self.log.chmod(0o600)
            self._process = Leashed(
                [sys.executable, "-m", "serving.recordings", str(self._file)],
                stdout=log,
                stderr=log,
                umask=private.UMASK,
                env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "handler")))},
            )
        self.starts += 1

    def _keep(self) -> None:
        """Restart it whenever it ends, until `stop`."""
        while self._process is not None:
            self._process.wait()
            self._process.release()
            if self._over.wait(PAUSE_SECONDS):
                return
            with contextlib.suppress(
                OSError
            ):  # no memory for a process, for example: another attempt follows
                self._start()
