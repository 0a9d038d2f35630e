"""A double of `triton_python_backend_utils`, a module that exists inside Triton alone: what our adapter uses of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch


class Tensor:
    def __init__(self, name: str, values: np.ndarray[Any, Any]) -> None:
        # the real one takes other types too, and answers them empty where it was built for numpy 1
        assert values.dtype == object, "numbers go by DLPack"
        self._name, self._values = name, values

    @classmethod
    def from_dlpack(cls, name: str, values: torch.Tensor) -> Tensor:
        made = cls.__new__(cls)
        made._name, made._values = name, np.from_dlpack(values)
        return made

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> np.ndarray[Any, Any]:
        return self._values

    def __dlpack__(self, **options: Any) -> Any:
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._values.__dlpack_device__()


class TritonError(Exception):
    INVALID_ARG, UNAVAILABLE, INTERNAL = "INVALID_ARG", "UNAVAILABLE", "INTERNAL"

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class InferenceResponse:
    output_tensors: Sequence[Tensor] = ()
    error: TritonError | None = None

    def values(self) -> dict[str, Any]:
        return {tensor.name(): tensor.as_numpy() for tensor in self.output_tensors}


@dataclass
class InferenceRequest:
    """As the backend hands it over: all outputs are requested where the caller names none."""

    tensors: Sequence[Tensor]
    outputs: Sequence[str] = ("label", "score", "scores", "embedding", "answer")
    given: Mapping[str, Any] = field(default_factory=dict)

    def inputs(self) -> Sequence[Tensor]:
        return self.tensors

    def requested_output_names(self) -> Sequence[str]:
        return self.outputs

    def parameters(self) -> str:
        return json.dumps(dict(self.given)) if self.given else ""

    def request_id(self) -> str:
        return "id"


def audio(*files: bytes) -> Tensor:
    return Tensor("audio", np.array([[file] for file in files], object))


def waveforms(samples: np.ndarray[Any, Any]) -> Tensor:
    return Tensor.from_dlpack("waveform", torch.from_numpy(samples))
