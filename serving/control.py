"""The versions that a running model server has loaded: the other half of its contract (serving/model_server.py)."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass

from bundle import BundleError
from serving.host.local_http import Answer


class ManagementError(BundleError):
    """A model server rejected a request about its versions or did not answer; the message is one line that says why.

    Attributes:
        status: the HTTP status; None without an answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Version:
    """One version of a model, as it is loaded.

    Attributes:
        version: as in its archive.
        pids: the workers that the server reports as ready, by process id.
        workers: how many there are in any state.
        wanted: the least number there should be.
        pending: requests that wait in its queue, without those that a worker has.
        capacity: requests that its queue holds at most.
        response_timeout: seconds that one batch may take.
        batch_delay: seconds that a free worker waits for a batch to fill.
    """

    version: str
    pids: tuple[int, ...]
    workers: int
    wanted: int
    pending: int
    capacity: int
    response_timeout: int
    batch_delay: float

    @property
    def ready(self) -> bool:
        """Every worker has loaded and is warm."""
        return len(self.pids) >= max(self.wanted, 1) and len(self.pids) == self.workers


class Control(ABC):
    """The versions that a running server has loaded.

    Attributes:
        patience: seconds for an answer.

    Raises:
        ManagementError: the server rejects a request, or does not answer.
    """

    patience: float

    def within(self, seconds: float) -> Control:
        """The same with another patience."""
        made = copy.copy(self)
        made.patience = seconds
        return made

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the server is asked, as `ModelServer.control` finds it in the state of a running one."""

    @abstractmethod
    def models(self) -> list[str]:
        """The names of all models that are loaded."""

    @abstractmethod
    def versions(self, model: str) -> dict[str, Version]:
        """Every version of a model that is loaded, by number."""

    @abstractmethod
    def default(self, model: str) -> str:
        """The version that answers requests without one."""

    @abstractmethod
    def load(self, model: str, version: str, archive: str, seconds: float) -> None:
        """Load an archive of the store beside the other versions, and return once its workers are ready.

        Args:
            model, version: what the archive holds.
            archive: its name in the store.
            seconds: for the workers to be ready.

        Raises:
            BundleError: it does not load; says in one line why.
        """

    @abstractmethod
    def set_default(self, model: str, version: str) -> None:
        """Send requests that name no version to this one from now on."""

    @abstractmethod
    def restart(self, model: str, version: str, workers: int) -> None:
        """End the workers of a version, and start this many others."""

    @abstractmethod
    def unload(self, model: str, version: str) -> None:
        """End a version's workers and unload it. Their requests are lost, so drain before."""

    @abstractmethod
    def answer(self, model: str, version: str | None, clip: bytes, seconds: float, heads: str = "") -> Answer:
        """What a version answers to a clip in this many seconds, as callers get it; the default if None. 503: its queue
        is full.

        Args:
            heads: names of those to answer with, separated by commas; empty for what a caller gets who names none.

        Raises:
            OSError, http.client.HTTPException: it does not answer.
        """
