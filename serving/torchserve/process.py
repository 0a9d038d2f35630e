"""One TorchServe: start it, wait until it is ready or say why it will not be, and stop it with all its processes."""

from __future__ import annotations

import contextlib
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from bundle import BundleError, java, private
from serving.host import logs, processes, scratch
from serving.host.leash import Leashed
from serving.host.polling import wait_until
from serving.host.ports import LOOPBACK, Ports
from serving.host.processes import Identity
from serving.torchserve import launch, startup_log
from serving.torchserve.management import Management, ManagementError

JVM_STOP_SECONDS = 10.0  # an idle TorchServe 0.12 needs about three
MANAGEMENT_SOCKET = "management"  # in the temp folder, which only its owner may access


class ServerError(BundleError):
    """The server did not start, or did not stop; the message is one line that says why."""


class TorchServe:
    """TorchServe on loopback with its own ports, temp folder, working directory and logs.

    Args:
        store: folder of the .mar files; no archive outside it can be loaded.
        models: names of the models to load at start; each is `NAME.mar` in the store.
        run: folder for the logs and the rendered configuration, created if missing.
        ports: the ports to listen on; free ones if None.
        environment: variables for Java and the workers, in addition to those inherited.

    Attributes:
        url, metrics_url: base addresses, without a slash at the end.
        management: the management API, while it runs.
        grpc: host:port of the gRPC inference service.
        logs: folder of access_log.log, model_log.log and ts_log.log.
    """

    def __init__(
        self,
        store: Path,
        models: Sequence[str],
        run: Path,
        ports: Ports | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.store = store.resolve()
        self.models = tuple(models)
        self.run = run.resolve()
        self.logs = self.run / logs.FOLDER
        self.ports = ports or Ports.free()
        self.environment = dict(environment or {})
        self.url = f"http://{LOOPBACK}:{self.ports.inference}"
        self.metrics_url = f"http://{LOOPBACK}:{self.ports.metrics}"
        self.grpc = f"{LOOPBACK}:{self.ports.grpc_inference}"
        self.temp: Path | None = None
        self._java: Leashed | None = None
        self._seen: dict[int, Identity] = {}

    def __enter__(self) -> TorchServe:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Reject a start that cannot succeed, before any file of a former one is changed.

        Raises:
            ServerError: no Java, a missing archive, a store that others may write to, a port that is taken.
        """
        if java.find() is None:
            raise ServerError(f"no Java {java.MINIMUM} or newer: install one, or run `make setup`")
        for model in self.models:
            if not (self.store / f"{model}.mar").is_file():
                raise ServerError(f"no archive {model}.mar in {self.store}: run `make archive MODEL={model}`")
        if (
            self.store.stat().st_mode & stat.S_IWOTH
        ):  # an archive is code, and every one in the store may be loaded
            raise ServerError(f"the model store {self.store} is writable by others: run chmod o-w on it")
        if taken := self.ports.taken():
            raise ServerError(f"port {taken[0]} is taken by another process: stop it or choose another port")

    def prepare(self) -> None:
        """Create the folders, so that they can be recorded before there is a process to find by them.

        Raises:
            ServerError: as `check`; or TMPDIR's path is too long.
        """
        self.check()
        private.folder(self.run)
        logs.keep(self.run)
        self.logs.mkdir(mode=0o700)
        self.temp = scratch.folder()

    def start(self) -> None:
        """Start the JVM; `wait_ready` says when it serves.

        Raises:
            ServerError: as `prepare`, which is called first if it has not been.
        """
        if self.temp is None:
            self.prepare()
        assert self.temp is not None
        runtime = java.find()
        assert runtime is not None
        config = launch.configure(self.run, self.ports, self.store, self.temp / MANAGEMENT_SOCKET)
        cwd = self.temp / "cwd"  # TorchServe writes to its working directory
        cwd.mkdir()
        with (self.run / logs.JVM).open("ab") as output:  # opened to append, so that it can be truncated
            (self.run / logs.JVM).chmod(0o600)
            self._java = Leashed(
                launch.command(runtime, self.temp, config, self.store, self.models),
                cwd=cwd,
                env=launch.environment(self.temp, self.logs, self.environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=private.UMASK,
            )

    def wait_ready(self, timeout: float = 600.0, progress: Callable[[str], None] = lambda _: None) -> None:
        """Return once every worker of every model is READY.

        Args:
            timeout: seconds from now.
            progress: called with one line whenever the state changes.

        Raises:
            ServerError: the JVM ended, an archive does not load, or the time is over.
        """
        waiting: str | None = ""

        def ready() -> bool:
            nonlocal waiting
            self._look()
            said, waiting = waiting, self._waiting()
            if waiting is None:
                return True
            if why := startup_log.refusal(self.logs):
                raise ServerError(f"the model does not load: {why}")
            if not self.running:
                why = startup_log.java_error((self.run / logs.JVM).read_text("utf-8", "replace"))
                raise ServerError(f"TorchServe ended while starting: {why} (logs: {self.run})")
            if waiting != said:
                progress(waiting)
            return False

        if not wait_until(ready, timeout):
            raise ServerError(f"not ready after {timeout:.0f} s: {waiting} (logs: {self.run})")

    @property
    def running(self) -> bool:
        return self._java is not None and self._java.poll() is None

    @property
    def management(self) -> Management:
        assert self.temp is not None, "the server has not been started"
        return Management(self.temp / MANAGEMENT_SOCKET)

    def describe(self, model: str, version: str = "all") -> list[dict[str, Any]]:
        """The management API's description of a model, one entry a version."""
        return self.management.describe(model, version)

    def worker_pids(self) -> list[int]:
        """Process ids of all workers that the management API lists as READY."""
        versions = (self.management.versions(model) for model in self.models)
        return [pid for found in versions for version in found.values() for pid in version.pids]

    def identities(self) -> list[Identity]:
        """The JVM and every descendant of it seen so far, for cleaning up after this process."""
        self._look()
        return list(self._seen.values())

    def stop(self, grace: float = JVM_STOP_SECONDS, *, again: bool = False) -> None:
        """End Java and the workers, and remove the temp folder. Requests in flight are lost, so drain before.

        Args:
            grace: seconds that Java has to end by itself.
            again: it will be restarted, at the same addresses: its temp folder is emptied and kept.

        Raises:
            BundleError: a process is still running although it was killed.
        """
        left: list[int] = []
        if self._java is not None:
            self._look()
            self._java.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._java.wait(grace)
            self._java.kill()
            self._java.wait()
            self._java.release()
            # Java kills its workers; those that it missed are ended here
            workers = [process for each in self._seen.values() if (process := each.process())]
            left = processes.end(
                [*workers, *scratch.belonging_to(self.temp)] if self.temp else workers, grace=2.0
            )
            self._java = None
        if self.temp is not None:
            shutil.rmtree(self.temp, ignore_errors=True)
            if again:
                self.temp.mkdir(mode=0o700)
            else:
                self.temp = None
        processes.refuse_left(left)

    def _waiting(self) -> str | None:
        """What is not ready yet, for a progress line; None if everything is."""
        for model in self.models:
            try:
                versions = self.management.versions(model)
            except ManagementError as exc:
                return "TorchServe is starting" if exc.status is None else f"{model} is being unpacked"
            for version in versions.values():
                if not version.ready:
                    wanted = max(version.wanted, version.workers, 1)
                    ready = f"{model} {version.version}: {len(version.pids)} of {wanted} workers ready"
                    return f"{ready}, {startup_log.stage(self.logs, model)}"
        return None

    def _look(self) -> None:
        """Record every process that belongs to this server."""
        if self._java is not None:
            for process in processes.family(self._java.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._seen[process.pid] = Identity.of(process)


@contextlib.contextmanager
def serving(store: Path, models: Sequence[str], run: Path) -> Iterator[TorchServe]:
    """A TorchServe that is ready, on free ports, for the duration of the block."""
    with TorchServe(store, models, run) as server:
        server.start()
        server.wait_ready()
        yield server
