"""SERVER= → the model server: the one place that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bundle import BundleError
from serving.model_server import ModelServer
from serving.torchserve.process import TorchServe

NAMES = (TorchServe.name, "triton")


def of(name: str) -> type[ModelServer]:
    """The class of a model server.

    Raises:
        BundleError: it is not part of this bundle.
    """
    if name == TorchServe.name:
        return TorchServe
    raise BundleError(f"SERVER={name} is not part of this bundle yet: use SERVER={TorchServe.name}")


@dataclass(frozen=True)
class Chosen:
    """Which model server is started, and how.

    Attributes:
        name: one of NAMES.
        environment: variables for its processes, in addition to those inherited.

    Raises:
        BundleError: it is not part of this bundle.
    """

    name: str = TorchServe.name
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        of(self.name)

    def server(self, store: Path, models: Sequence[str], run: Path) -> ModelServer:
        """One that is not started yet."""
        return of(self.name)(store, models, run, environment=self.environment)


DEFAULT = Chosen()
