"""A linear map's tensors, apart from the module that they were read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Affine:
    """A linear map. weight: (outputs, inputs); bias: (outputs,) or None."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def read(cls, linear: Any) -> Affine:
        """Copy a module's, in fp32."""
        return cls(copied(linear.weight), None if linear.bias is None else copied(linear.bias))

    def to(self, device: torch.device) -> Affine:
        return Affine(self.weight.to(device), None if self.bias is None else self.bias.to(device))

    def __call__(self, rows: Tensor) -> Tensor:
        """(rows, inputs) → (rows, outputs)."""
        return F.linear(rows, self.weight, self.bias)


def copied(parameter: Any) -> Tensor:
    """Copy a parameter: a single view would keep the model's memory, or its whole mapped file, from being freed."""
    tensor: Tensor = parameter.detach().to(torch.float32, copy=True)
    return tensor
