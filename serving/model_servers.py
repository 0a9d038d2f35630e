"""SERVER= → the model server: the one place that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serving.model_server import ModelServer
from serving.torchserve.process import TorchServe
from serving.triton import installation
from serving.triton.process import Triton

SERVERS: Mapping[str, type[ModelServer]] = {TorchServe.name: TorchServe, Triton.name: Triton}
NAMES = tuple(SERVERS)


def of(name: str) -> type[ModelServer]:
    """The class of a model server, one of NAMES."""
    return SERVERS[name]


def tritonserver() -> installation.Installation:
    """The program that SERVER=triton runs, for a comparison with other models in it.

    Raises:
        ServerError: there is none.
    """
    return installation.find()


@dataclass(frozen=True)
class Chosen:
    """Which model server is started, and how.

    Attributes:
        name: one of NAMES.
        environment: variables for its processes, in addition to those inherited.
    """

    name: str = TorchServe.name
    environment: Mapping[str, str] = field(default_factory=dict)

    def server(self, store: Path, models: Sequence[str], run: Path) -> ModelServer:
        """One that is not started yet."""
        return of(self.name)(store, models, run, environment=self.environment)


DEFAULT = Chosen()
