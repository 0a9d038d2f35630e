"""SERVER= → the model server: the one place that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from serving.model_server import ModelServer

if TYPE_CHECKING:
    from serving.triton.installation import Installation

NAMES = TORCHSERVE, TRITON = "torchserve", "triton"


def of(name: str) -> type[ModelServer]:
    """The class of a model server, one of NAMES."""
    # here, not above: a start imports nothing of the other one
    if name == TRITON:
        from serving.triton.process import Triton

        return Triton
    assert name == TORCHSERVE, name
    from serving.torchserve.process import TorchServe

    return TorchServe


def tritonserver() -> Installation:
    """The program that SERVER=triton runs, for a comparison with other models in it.

    Raises:
        ServerError: there is none.
    """
    from serving.triton import installation

    return installation.find()


@dataclass(frozen=True)
class Chosen:
    """Which model server is started, and how.

    Attributes:
        name: one of NAMES.
        environment: variables for its processes, in addition to those inherited.
    """

    name: str = TORCHSERVE
    environment: Mapping[str, str] = field(default_factory=dict)

    def server(self, store: Path, models: Sequence[str], run: Path) -> ModelServer:
        """One that is not started yet."""
        return of(self.name)(store, models, run, environment=self.environment)


DEFAULT = Chosen()
