"""One TorchServe: start it, wait until it is ready or say why it will not be, and stop it with all its processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from prometheus_client import Metric

from bundle import java
from serving.control import ManagementError
from serving.host import local_http, logs
from serving.host.ports import LOOPBACK
from serving.metrics.exporter import DEADLINE
from serving.metrics.served import Served
from serving.model_server import ServerError, Spent, Upstream
from serving.server_process import ServerProcess
from serving.state import State
from serving.torchserve import launch, scrape, startup_log
from serving.torchserve.control import TorchServeControl
from serving.torchserve.ports import Ports
from serving.torchserve.probe import Probe

JVM_STOP_SECONDS = 10.0  # an idle TorchServe 0.12 needs about three
MANAGEMENT_SOCKET = "management"  # in the temp folder, which only its owner may access


class TorchServe(ServerProcess):
    """TorchServe on loopback with its own ports, temp folder, working directory and logs.

    Args:
        store: folder of the .mar files; no archive outside it can be loaded.
        models: names of the models to load at start; each is `NAME.mar` in the store.
        run: folder for the logs and the rendered configuration, created if missing.
        ports: the ports to listen on; free ones if None.
        environment: variables for Java and the workers, in addition to those inherited.

    Attributes:
        metrics_url: base address of its own metrics, without a slash at the end.
        logs: folder of access_log.log, model_log.log and ts_log.log.
    """

    name = "torchserve"
    title = "TorchServe"
    stop_seconds = JVM_STOP_SECONDS
    longest_socket = f"{launch.SOCKET_PREFIX}65535"

    def __init__(
        self,
        store: Path,
        models: Sequence[str],
        run: Path,
        ports: Ports | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(store, models, run, environment)
        self.ports = ports or Ports.free()
        self.upstream = upstream(self.ports)
        self.url = f"http://{LOOPBACK}:{self.ports.inference}"
        self.metrics_url = f"http://{LOOPBACK}:{self.ports.metrics}"
        self.grpc = f"{LOOPBACK}:{self.ports.grpc_inference}"
        self.output = self.run / logs.JVM
        self._java: Path | None = None  # the runtime that `check` found

    def __enter__(self) -> TorchServe:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def control(cls, server: State, run: Path) -> TorchServeControl:
        return TorchServeControl(Path(server.management), server.inference_url, run / logs.FOLDER)

    @property
    def management(self) -> TorchServeControl:
        if self.temp is None:
            raise ManagementError("TorchServe is not running")
        return TorchServeControl(self.temp / MANAGEMENT_SOCKET, self.url, self.logs)

    def check(self) -> None:
        """Reject a start that cannot succeed, before any file of a former one is changed.

        Raises:
            ServerError: no Java, or a port that is taken.
        """
        self._java = java.find()
        if self._java is None:
            raise ServerError(f"no Java {java.MINIMUM} or newer: install one, or run `make setup`")
        if taken := self.ports.taken():
            raise ServerError(f"port {taken[0]} is taken by another process: stop it or choose another port")

    def start(self) -> None:
        """Start the JVM; `wait_ready` says when it serves.

        Raises:
            ServerError: as `prepare`, which is called first if it has not been.
        """
        if self.temp is None:
            self.prepare()
        assert self.temp is not None
        assert self._java is not None
        config = launch.configure(self.run, self.ports, self.store, self.temp / MANAGEMENT_SOCKET)
        cwd = self.temp / "cwd"  # TorchServe writes to its working directory
        cwd.mkdir()
        command = launch.command(self._java, self.temp, config, self.store, self.models)
        self.launch(command, cwd, launch.environment(self.temp, self.logs, self.variables))

    @property
    def traces(self) -> tuple[str, ...]:
        if self.temp is None:
            return ()
        return (f"{launch.TEMP_OPTION}{self.temp}", str(self.temp / launch.SOCKET_PREFIX))

    def refusal(self) -> str | None:
        return startup_log.refusal(self.logs)

    def last_words(self) -> str | None:
        return startup_log.java_error(self.output.read_text("utf-8", "replace"))

    def waiting(self) -> str | None:
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
        # gRPC's ports are opened last, which a model that loads at once does not wait for
        return None if self.ports.opened() else "TorchServe is starting"

    def describe(self, model: str, version: str = "all") -> list[dict[str, Any]]:
        """The management API's description of a model, one entry a version."""
        return self.management.describe(model, version)

    def probe(self, model: str, version: str) -> Probe:
        return Probe(LOOPBACK, self.ports.inference, f"/predictions/{model}/{version}")

    def metrics(self, served: Served) -> Iterable[Metric]:
        return scrape.collect(self._scraped(), served)

    def spent(self) -> Spent:
        return scrape.spent(self._scraped())

    def _scraped(self) -> str:
        answer = local_http.ask(local_http.tcp(self.metrics_url, DEADLINE), "GET", "/metrics")
        if answer.status != 200:
            raise OSError(f"TorchServe answers {answer.status} to a request for its metrics")
        return answer.text


def upstream(ports: Ports) -> Upstream:
    """What the gateway has to know."""
    return Upstream(
        http=ports.inference,
        grpc=ports.grpc_inference,
        script=Path(__file__).with_name("gateway.lua"),
        service="org.pytorch.serve.grpc.inference.InferenceAPIsService",
        # StreamPredictions ends a worker, StreamPredictions2 its thread in Java
        methods={"Ping": True, "Predictions": False},
        without_headers=("Predictions",),
        translated=("ModelInfer",),  # its own implementation drops raw_input_contents
        instead={
            "inference.GRPCInferenceService": "of Open Inference over gRPC, only ModelInfer is served here; the Triton "
            "server has the rest, and so has HTTP under /v2"
        },
        # when a worker died over a batch, and when a worker has no memory for it; 503 is a handler's bug
        retried=(500, 507),
        software=f"TorchServe {metadata.version('torchserve')}",
        platform="pytorch_torchserve",
    )


@contextlib.contextmanager
def serving(store: Path, models: Sequence[str], run: Path) -> Iterator[TorchServe]:
    """A TorchServe that is ready, on free ports, for the duration of the block."""
    with TorchServe(store, models, run) as server:
        server.start()
        server.wait_ready()
        yield server
