"""One Triton: start it, wait until it is ready or say why it will not be, and stop it with all its processes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client import Metric

from bundle import archived, repository
from bundle.terminal import say
from serving.control import ManagementError
from serving.host import logs, processes
from serving.host.ports import LOOPBACK
from serving.metrics.served import Served
from serving.model_server import ServerError, Spent
from serving.server_process import ServerProcess
from serving.state import State
from serving.triton import failures, gpus, installation, launch, scrape
from serving.triton.control import TritonControl
from serving.triton.ports import Ports
from serving.triton.probe import Probe
from serving.triton.revival import Revival
from serving.triton.upstream import upstream

STOP_SECONDS = 10.0  # an idle one ends its workers in about five
OUTPUT = "triton.log"
LOOK_SECONDS = 0.5


class Triton(ServerProcess):
    """Triton on loopback with its own ports, temp folder, model repository and logs.

    Args:
        store: folder of the archives, which are unpacked at every start.
        models: names of the models to load at start; each is `NAME.mar` in the store.
        run: folder for the logs, created if missing.
        environment: variables for the server and the workers, in addition to those inherited.
    """

    name = "triton"
    title = "Triton"
    stop_seconds = STOP_SECONDS
    unpacks = True

    def __init__(
        self, store: Path, models: Sequence[str], run: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(store, models, run, environment)
        self.ports = Ports.free()
        self.upstream = upstream(self.ports.http, self.ports.grpc)
        self.url = f"http://{LOOPBACK}:{self.ports.http}"
        self.metrics_url = f"http://{LOOPBACK}:{self.ports.metrics}"
        self.grpc = f"{LOOPBACK}:{self.ports.grpc}"
        self.output = self.run / OUTPUT
        self._over = threading.Event()
        self._revival: threading.Thread | None = None

    def __enter__(self) -> Triton:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def export(cls, archive: Path) -> None:
        repository.export(archive)

    @classmethod
    def control(cls, server: State, run: Path) -> TritonControl:
        temp, metrics_url = server.management.rsplit(" ", 1)
        return TritonControl(Path(temp), server.inference_url, metrics_url, Path(server.store), run / OUTPUT)

    @property
    def management(self) -> TritonControl:
        if self.temp is None:
            raise ManagementError("Triton is not running")
        return TritonControl(self.temp, self.url, self.metrics_url, self.store, self.output)

    def check(self) -> None:
        """Reject a start that cannot succeed, before any file of a former one is changed.

        Raises:
            ServerError: no tritonserver, one that cannot run our code, or a port that is taken.
        """
        if taken := self.ports.taken():
            raise ServerError(f"port {taken[0]} is taken by another process: stop it or choose another port")
        found = installation.find()
        found.check()
        if why := found.outdated():
            say(f"warning: {why}")

    def start(self) -> None:
        """Unpack the archives and start the server; `wait_ready` says when it serves.

        Raises:
            ServerError: as `prepare`, which is called first if it has not been.
            BundleError: an archive cannot be unpacked, or has a version that Triton cannot serve.
        """
        if self.temp is None:
            self.prepare()
        assert self.temp is not None
        folder = self.temp / launch.REPOSITORY
        gpus_found = gpus.record(self.temp)
        for model in self.models:
            version = repository.write(self.store / f"{model}.mar", folder, gpus_found)
            repository.point(folder, model, repository.number(version), f"{model}{repository.HTTP}")
        launch.declare(self.temp)
        found = installation.find()
        patience = sum(self._startup_seconds(model) for model in self.models)
        command = launch.command(found, self.temp, self.ports, self.stop_seconds, patience)
        environment = launch.environment(found, self.temp, self.logs, self.variables)
        self.launch(command, self.temp, environment)
        self._over.clear()
        self._revival = threading.Thread(target=self._revive, name="revival", daemon=True)
        self._revival.start()

    @property
    def traces(self) -> tuple[str, ...]:
        return (str(self.temp / launch.REPOSITORY),) if self.temp else ()

    def refusal(self) -> str | None:
        return failures.refusal(self.output)

    def last_words(self) -> str | None:
        return failures.last_words(self.output)

    def waiting(self) -> str | None:
        for model in self.models:
            try:
                versions = self.management.versions(model)
            except ManagementError:
                return "Triton is starting"
            for version in versions.values():
                if not version.ready:
                    wanted = max(version.wanted, 1)
                    return f"{model} {version.version}: {len(version.pids)} of {wanted} workers ready"
        return None

    def stop(self, grace: float | None = None, *, again: bool = False) -> None:
        self._over.set()
        if self._revival is not None:
            self._revival.join()
            self._revival = None
        super().stop(grace, again=again)

    def probe(self, model: str, version: str) -> Probe:
        return Probe(self.ports.http, model, version)

    def metrics(self, served: Served) -> Iterable[Metric]:
        if self.temp is None:
            raise OSError("Triton is not running")
        own = scrape.own(self.management.scraped(), served)
        return itertools.chain(scrape.workers(self.temp / launch.METRICS, served), own)

    def spent(self) -> Spent:
        return scrape.spent(self.management.scraped())

    def _startup_seconds(self, model: str) -> int:
        return archived.read(self.store / f"{model}.mar").torchserve.startupTimeout

    def _revive(self) -> None:
        """Until it is stopped, look after the workers, and rotate their log."""
        revival = Revival()
        workers: Sequence[int] = ()
        while not self._over.is_set():
            processes.wait_for_an_end(workers, LOOK_SECONDS)
            log = self.logs / launch.LOG
            if logs.too_large(log, logs.LARGEST):
                log.replace(logs.rotated(log))  # its writers reopen it
            try:
                workers = revival.look(self.management)
            except (ManagementError, OSError):  # it is being stopped, or a version removed
                workers = ()
