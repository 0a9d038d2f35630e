"""A whole server: the model server, the gateway in front of it, and the state file by which other commands find it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from bundle import private, shipped
from bundle.spec import ModelSpec
from serving import model_servers
from serving.gateway import canary, tokens
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.gateway.static import StaticFile
from serving.host import local_http, logs, orphans
from serving.host.polling import wait_until
from serving.host.processes import Identity
from serving.metrics.assembly import exporter
from serving.model_server import ModelServer, ServerError
from serving.model_servers import Chosen
from serving.readiness.repair import Repair
from serving.readiness.watch import LOOK_SECONDS
from serving.recordings.configuration import models_of
from serving.rollout import journal
from serving.state import FILE, GRACE_SECONDS, SERVE_LOCK, State

ROTATE_SECONDS = 5.0  # between two checks of the logs' sizes; what is written in between exceeds the limit
SEEN_SECONDS = 10.0  # for the watch to see that the workers are ready; a start goes on without that
FAULT_GRACE_SECONDS = 2.0  # for requests in flight when the model server has ended by itself: mostly uploads


class Service:
    """Models served on one public port.

    Args:
        specs: the models, of different names; their archives are in the store.
        store: the model store.
        run: this server's folder, for logs, configuration and the state file.
        options: of the gateway: addresses, access, limits, tracing.
        chosen: the model server.

    Attributes:
        convert: writes the archives into the store once probes are answered; None if they are there already. To be set
            before `start`.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        store: Path,
        run: Path,
        options: GatewayOptions,
        chosen: Chosen = model_servers.DEFAULT,
    ) -> None:
        self.specs = list(specs)
        self.convert: Callable[[Callable[[str], None]], None] | None = None
        self.run = run.resolve()
        self._lock: FileLock | None = None
        self._rotate_at, self._rotation_fault = 0.0, ""
        self.server = chosen.server(store, [spec.name for spec in specs], run)
        limits = replace(options.limits, max_requests=room(specs))
        self.gateway = gateway_of(specs, self.server, replace(options, limits=limits))
        # seconds that the workers may take to load, one model after the other, and the server to start
        self.patience = sum(spec.torchserve.startupTimeout for spec in specs) + 30.0
        self.tokens = tokens.Watch(options.tokens)
        self.repair: Repair | None = None  # from when it serves: loading may take minutes
        self.exporter = exporter(self.server, self.gateway, specs)

    def start(
        self, progress: Callable[[str], None] = lambda _: None, stop_seconds: float = GRACE_SECONDS
    ) -> None:
        """Start both and return once a request would be answered; readiness is answered with 503 until then.

        Processes that a killed server of the same folder left are ended first. A rejected start changes nothing.

        Args:
            progress: is called with what is waited for.
            stop_seconds: the grace and the delay that it will be stopped with, for whoever asks for that.

        Raises:
            ServerError: says in one line why it does not start. Call `stop` all the same.
        """
        self._claim()
        orphans.clear(self.run)
        self.exporter.check_port()
        self.gateway.check_port()  # before the half minute that a model takes to load
        self.gateway.prepare()
        self.server.prepare(stored=self.convert is None)
        for model in journal.forget(self.run):
            progress(f"a roll-out of {model} was in progress when the last server ended: it is undone")
        self._write_state(stop_seconds)  # before there is a process to find by it
        # Probes are answered "not ready" from the first second on: some platforms restart a container whose port does
        # not accept connections while its model loads, or is unpacked or converted.
        waits = self.server.unpacks or self.convert
        if not waits:
            self.server.start()  # first, because it takes the longest
        self.gateway.launch()
        self._write_state(stop_seconds)
        if self.convert:
            self.gateway.wait_ready()
            self.convert(progress)
            self.server.check_store()
        if waits:
            self.server.start()
        self.gateway.wait_ready()
        self.server.wait_ready(self.patience, progress)
        if self.gateway.watch:  # from which probes hear of it
            self.gateway.watch.hurry()
        wait_until(lambda: self.gateway.watch and self.gateway.watch.ready, SEEN_SECONDS, LOOK_SECONDS / 10)
        self.repair = Repair(self.server, self.patience, self._start_again)
        self.exporter.start()

    def _claim(self) -> None:
        """Lock the run folder for this server."""
        private.folder(self.run)
        lock = FileLock(self.run / SERVE_LOCK, timeout=0, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            raise ServerError(
                f"another server runs in {self.run}: end it with `make stop`, or choose another PORT="
            ) from None
        self._lock = lock

    def rotate_logs(self) -> str | None:
        """Start new logs in place of those that are too large; to be called repeatedly.

        Returns:
            Why that failed, once for each reason; later calls retry it.
        """
        if time.monotonic() < self._rotate_at:
            return None
        said = ""
        try:
            logs.cut(self.server.output)
            self.gateway.rotate_logs()
        except local_http.FAULTS as exc:
            said = str(exc) or type(exc).__name__
        news = said if said != self._rotation_fault else ""
        self._rotation_fault, self._rotate_at = said, time.monotonic() + ROTATE_SECONDS
        return news or None

    def fault(self) -> str | None:
        """Which of the processes has ended by itself; None if all run."""
        if not self.server.running:
            return f"{self.server.title} has ended (logs: {self.run})"
        if not self.gateway.running:
            return f"the gateway has ended (log: {self.gateway.log})"
        return None

    def mend(self, say: Callable[[str], None]) -> None:
        """Recover what does not answer, one step a call; to be called repeatedly.

        Args:
            say: is called with what was done, in one line.

        Raises:
            ServerError: nothing more can be done here.
        """
        if self.repair and self.gateway.watch and (done := self.repair.step(self.gateway.watch)):
            say(done)

    def _start_again(self) -> None:
        self.server.stop(0.0, again=True)
        # it loads each model's version from the store: a canary or a roll-out in progress is not continued
        canary.forget(self.run)
        journal.forget(self.run)
        self.server.start()

    def stop(self, grace: float, hurry: Callable[[], bool] = lambda: False, delay: float = 0.0) -> int:
        """Answer "not ready", refuse new requests, wait for those in flight, end every process, remove temporary files.

        Args:
            grace: seconds to wait for requests in flight. Too high: a hung worker holds up every stop. Too low:
                long clips are cut off.
            hurry: polled while waiting; True ends the wait.
            delay: seconds between "not ready" and refusing connections, for load balancers to notice. Too high: every
                stop takes that long. Too low: a balancer sends requests to a closed port.

        Returns:
            How many requests were cut off.
        """
        cut = 0
        try:
            accepts = self.gateway.accepts and self.gateway.running  # else its socket may not be there yet
            if accepts and self.server.running:
                self.gateway.not_ready()
                if self.repair:  # it was ready, and balancers send requests, which are answered meanwhile
                    wait_until(hurry, delay)
                cut = self.gateway.drain(grace, hurry)
            elif accepts:
                # every request gets its 503 at once instead of a broken connection
                cut = self.gateway.drain(min(grace, FAULT_GRACE_SECONDS), hurry)
        finally:
            self.exporter.stop()
            self.gateway.stop()
            self.server.stop(0.0 if hurry() else self.server.stop_seconds)
            if self._lock is not None:  # otherwise the state is that of another server, which is running
                (self.run / FILE).unlink(missing_ok=True)
                # while it is held; a waiting process creates another
                (self.run / SERVE_LOCK).unlink(missing_ok=True)
                self._lock.release()
                self._lock = None
        return cut

    def _write_state(self, stop_seconds: float) -> None:
        gateway, certificate = self.gateway.pid, self.gateway.options.certificate
        State(
            models=[spec.name for spec in self.specs],
            url=self.gateway.url,
            certificate=str(certificate.folder) if certificate else None,
            stop_seconds=stop_seconds,
            store=str(self.server.store),
            inference_url=self.server.url,
            management=self.server.management.address,
            metrics_url=self.exporter.url,
            grpc=self.server.grpc,
            serve=Identity.of(psutil.Process()),
            gateway=Identity.of(psutil.Process(gateway)) if gateway else None,
            temp=[str(folder) for folder in (self.server.temp, self.gateway.folder) if folder],
            traces=[*self.server.traces, *self.gateway.traces],
            server=self.server.name,
        ).write(self.run)


def gateway_of(specs: Sequence[ModelSpec], server: ModelServer, options: GatewayOptions) -> Gateway:
    """The gateway in front of a server of these models, with what it answers by itself: their configurations and
    metadata, the API's description, the page."""
    longest = max(spec.torchserve.responseTimeout for spec in specs)

    def static() -> Sequence[StaticFile]:
        # here, not above: numpy and jinja2 are imported, and pages rendered, while the model server starts
        from serving.api import files
        from serving.gateway import model_config
        from serving.gateway.page import assembly as page

        described = model_config.files(specs, server.upstream.platform)
        return (*described, *files.files(specs, options, server.upstream), *page.files(specs, options))

    return Gateway(server, options, longest, models_of(specs), static)


def room(specs: Sequence[ModelSpec]) -> int:
    """How many requests fit the queues of all models and their workers' batches."""
    queue = shipped.shipped("job_queue_size")
    return sum(queue + spec.torchserve.batchSize * spec.torchserve.maxWorkers for spec in specs)
