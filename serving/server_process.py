"""A model server's process and its descendants: started on a leash, waited for, and ended by their ids."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import psutil
from speaker_id.plan import FOLDER_VARIABLE

from bundle import private, store
from serving.host import logs, processes, scratch
from serving.host.leash import Leashed
from serving.host.polling import wait_until
from serving.host.processes import Identity
from serving.model_server import ModelServer, ServerError


class ServerProcess(ModelServer):
    """What model servers have in common as processes."""

    longest_socket: ClassVar[str] = ""  # of the names in its temp folder

    _process: Leashed | None = None

    def __init__(
        self, store: Path, models: Sequence[str], run: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(store, models, run, environment)
        self.logs = self.run / logs.FOLDER
        self._seen: dict[int, Identity] = {}

    @abstractmethod
    def check(self) -> None:
        """Reject a start that cannot succeed, before any file of a former one is changed. Raises ServerError."""

    @abstractmethod
    def refusal(self) -> str | None:
        """Why an archive does not load, in one line, once the logs say so."""

    @abstractmethod
    def last_words(self) -> str | None:
        """Why the process ended, in one line, from what it printed."""

    @abstractmethod
    def waiting(self) -> str | None:
        """What is not ready yet, for a progress line; None if everything is."""

    def check_store(self) -> None:
        for model in self.models:
            if not (self.store / f"{model}.mar").is_file():
                raise ServerError(f"no archive {model}.mar in {self.store}: run `make archive MODEL={model}`")
        # an archive is code, and every one in the store may be loaded; volumes of Kubernetes have mode 2777, and
        # those of a delivery are mounted read-only
        if self.store.stat().st_mode & stat.S_IWOTH and not private.read_only(self.store):
            raise ServerError(f"the model store {self.store} is writable by others: run chmod o-w on it")

    def prepare(self, *, stored: bool = True) -> None:
        self.check()
        if stored:
            self.check_store()
        private.folder(self.run)
        logs.keep(self.run)
        self.logs.mkdir(mode=0o700)
        self.temp = scratch.folder(self.longest_socket)

    def launch(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        """Start the main process; what it prints goes to `output`."""
        with self.output.open("ab") as output:  # opened to append, so that it can be truncated
            self.output.chmod(0o600)
            self._process = Leashed(
                command,
                cwd=cwd,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=private.UMASK,
            )

    def wait_ready(self, timeout: float = 600.0, progress: Callable[[str], None] = lambda _: None) -> None:
        waiting: str | None = ""

        def ready() -> bool:
            nonlocal waiting
            self._look()
            said, waiting = waiting, self.waiting()
            if waiting is None:
                return True
            if why := self.refusal():
                raise ServerError(f"the model does not load: {why}")
            if not self.running:
                raise ServerError(
                    f"{self.title} ended while starting: {self.last_words()} (logs: {self.run})"
                )
            if waiting != said:
                progress(waiting)
            return False

        if not wait_until(ready, timeout):
            raise ServerError(f"not ready after {timeout:.0f} s: {waiting} (logs: {self.run})")

    @property
    def variables(self) -> dict[str, str]:
        """What its workers' environment has beside what is inherited, which may name another folder of kernels."""
        assert self.temp is not None
        # beside the archives, for the next start; else for the workers of this one
        kernels = (self.store if os.access(self.store, os.W_OK) else self.temp) / store.KERNELS
        return {FOLDER_VARIABLE: os.environ.get(FOLDER_VARIABLE, str(kernels)), **self.environment}

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def identities(self) -> list[Identity]:
        self._look()
        return list(self._seen.values())

    def stop(self, grace: float | None = None, *, again: bool = False) -> None:
        left: list[int] = []
        if self._process is not None:
            self._look()
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.stop_seconds if grace is None else grace)
            self._process.kill()
            self._process.wait()
            self._process.release()
            # it ends its workers itself; those that it missed are ended here
            workers = [process for each in self._seen.values() if (process := each.process())]
            left = processes.end([*workers, *scratch.users(self.traces)], grace=2.0)
            self._process = None
        if self.temp is not None:
            scratch.remove(self.temp)
            if again:
                self.temp.mkdir(mode=0o700)
            else:
                self.temp = None
        processes.refuse_left(left)

    def _look(self) -> None:
        """Record every process that belongs to this server."""
        if self._process is not None:
            for process in processes.family(self._process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._seen[process.pid] = Identity.of(process)
