"""The interface of a head, the light module behind the encoder.

A head reads one weighted sum of the encoder's hidden states, makes an embedding of it and, if it is a classifier,
logits of the embedding. The encoder computes one sum for each `Mixture` that its heads have, however many they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

# Whose embedding: a head's own, by its index among the model's; None for the model's, which is one head's for all.
Source = int | None


@dataclass(frozen=True)
class Mixture:
    """One set of layer weights.

    Attributes:
        shares: of each hidden state in the sum: the first layer's input, then every layer's output.
        norms_last_state: whether the last of them has passed the encoder's final norm (pre-norm models only).
    """

    shares: tuple[float, ...]
    norms_last_state: bool = False


class Head(Protocol):
    """One clip's weighted sum → its embedding and its logits, always in fp32 (some checkpoints' logits pass 100,000).

    Attributes:
        mixture: the layer weights of the sum that it reads.
        whole: whether it reads every frame of the sum, or only their mean.
        min_frames: fewest frames of a clip that it has an answer for.
        width: of the embedding.
        labels: how many logits it answers with; 0 for a head that is asked for its embedding only.
    """

    @property
    def mixture(self) -> Mixture: ...
    @property
    def whole(self) -> bool: ...
    @property
    def min_frames(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def labels(self) -> int: ...

    def embedding(self, states: Tensor) -> Tensor:
        """(frames, hidden), or (1, hidden) of their mean unless `whole` → (1, width)."""
        ...

    def logits(self, embedding: Tensor) -> Tensor:
        """(1, width) → (1, outputs)."""
        ...
