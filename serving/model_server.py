"""What the service needs of a model server; serving/torchserve/ and serving/triton/ implement it.

`ModelServer` is the process, which one `make serve` starts and stops; `Control` (serving/control.py) is its loaded
versions, which other processes change too (`make rollout`). Nothing outside the servers' folders asks which one it is:
what differs is a value here. `serving/model_servers.py` chooses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from prometheus_client import Metric
from speaker_id import cancellations

from bundle import BundleError
from serving.control import Control
from serving.host import logs
from serving.host.processes import Identity
from serving.metrics.served import Served
from serving.state import State


class ServerError(BundleError):
    """A server did not start, or did not stop; the message is one line that says why."""


@dataclass(frozen=True)
class Reply:
    """What was received for a probe.

    Attributes:
        status: of HTTP; 0 if the connection ended without one.
        answered: whether a worker answered: false if its queue was full, or the worker died over it.
    """

    status: int
    answered: bool


class Probe(Protocol):
    """One small request that a worker must answer, sent without waiting for the answer."""

    def reply(self) -> Reply | None:
        """The reply once it has been received completely; None before."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Upstream:
    """Where the gateway sends what it lets in, and what it has to know of the server for that.

    Attributes:
        http, grpc: ports on loopback.
        script: the server's part of errors.lua.
        service: of gRPC inference, with its package.
        methods: of this service, those that are served; true for those that ask whether all is ready.
        translated: methods of Open Inference over gRPC that a server without them answers all the same: the gateway
            makes a request over HTTP of each.
        without_headers: methods whose headers the server does not pass on to its workers.
        instead: what is said to callers of another model server's service, by that service's name.
        retried: HTTP statuses of a worker that ended over a request: it is sent once more, for the next worker. Empty
            if the server's queue does not wait for one: then it is sent again and again, after every answer over HTTP
            or gRPC that `server.again` of the script says to be one of a worker that has ended.
        software: the server and its version, for metadata.
        platform: what runs a model, for metadata.
    """

    http: int
    grpc: int
    script: Path
    service: str
    methods: Mapping[str, bool]
    translated: tuple[str, ...]
    without_headers: tuple[str, ...]
    instead: Mapping[str, str]
    retried: tuple[int, ...]
    software: str
    platform: str


@dataclass(frozen=True)
class Spent:
    """The server's own counts since its start: requests, and their seconds in its queues and with its workers."""

    requests: float
    queue: float
    worker: float


class ModelServer(ABC):
    """One model server on loopback, with its own ports, temp folder and logs.

    Args:
        store: folder of the archives; none outside it can be loaded.
        models: names of the models to load at start.
        run: folder for the logs and the rendered configuration, created if missing.
        environment: variables for its processes, in addition to those inherited.

    Attributes:
        name: as SERVER= says it.
        title: as messages say it.
        stop_seconds: for an idle one to end by itself.
        unpacks: whether `start` unpacks the archives before there is a process, which takes seconds for large ones.
        url: base address of inference over HTTP, without a slash at the end.
        grpc: host:port of inference over gRPC.
        upstream: the same for the gateway.
        logs: folder of its logs, which it rotates itself.
        output: what its process prints; it does not reopen it.
        temp: the temp folder by which its processes are known, while it runs.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    stop_seconds: ClassVar[float]
    unpacks: ClassVar[bool] = False
    url: str
    grpc: str
    upstream: Upstream
    logs: Path
    output: Path
    temp: Path | None = None

    def __init__(
        self, store: Path, models: Sequence[str], run: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.store = store.resolve()
        self.models = tuple(models)
        self.run = run.resolve()
        cancelled = {cancellations.FILE_VARIABLE: str(self.run / logs.CANCELLED)}
        self.environment = cancelled | dict(environment or {})

    @classmethod
    def export(cls, archive: Path) -> None:
        """Write what a server of this kind needs that `make serve` does not start; nothing if the archive is that.

        Raises:
            BundleError: says in one line why that is not possible.
        """
        del archive

    @classmethod
    @abstractmethod
    def control(cls, server: State, run: Path) -> Control:
        """The versions of a server of this kind that another process started.

        Args:
            server: what it has written of itself.
            run: its folder.
        """

    @property
    @abstractmethod
    def management(self) -> Control:
        """The versions of this server.

        Raises:
            ManagementError: it does not run.
        """

    @abstractmethod
    def check_store(self) -> None:
        """Raises ServerError for a missing archive, or a store that others may write to."""

    @abstractmethod
    def prepare(self, *, stored: bool = True) -> None:
        """Create the folders, so that they can be recorded before there is a process to find by them.

        Args:
            stored: whether the archives are in the store already, and are checked.

        Raises:
            ServerError: a start cannot succeed; nothing of a former one has been changed.
        """

    @abstractmethod
    def start(self) -> None:
        """Start the process; `wait_ready` says when it serves."""

    @abstractmethod
    def wait_ready(self, timeout: float = 600.0, progress: Callable[[str], None] = lambda _: None) -> None:
        """Return once every worker of every model is ready.

        Args:
            timeout: seconds from now.
            progress: called with one line whenever the state changes.

        Raises:
            ServerError: the process ended, an archive does not load, or the time is over.
        """

    @abstractmethod
    def stop(self, grace: float | None = None, *, again: bool = False) -> None:
        """End every process, and remove the temp folder. Requests in flight are lost, so drain before.

        Args:
            grace: seconds that the server has to end by itself; None is `stop_seconds`.
            again: it will be restarted, at the same addresses: its temp folder is emptied and kept.

        Raises:
            BundleError: a process is still running although it was killed.
        """

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """Of its main process, if that was started."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether its main process has not ended."""

    @abstractmethod
    def identities(self) -> list[Identity]:
        """Its main process and every descendant of it seen so far."""

    @property
    @abstractmethod
    def traces(self) -> tuple[str, ...]:
        """What its processes have in their command lines, and no others, while it has a temp folder."""

    @abstractmethod
    def probe(self, model: str, version: str) -> Probe:
        """Send a version a small request that one of its workers must answer.

        Raises:
            OSError: nothing listens.
        """

    @abstractmethod
    def metrics(self, served: Served) -> Iterable[Metric]:
        """The workers' metrics and the server's own, with our names and labels only. Raises OSError, ValueError."""

    @abstractmethod
    def spent(self) -> Spent:
        """What it has counted since its start. Raises OSError, ValueError."""

    def worker_pids(self) -> list[int]:
        """Process ids of all workers that are reported as ready."""
        versions = (self.management.versions(model) for model in self.models)
        return [pid for found in versions for version in found.values() for pid in version.pids]
