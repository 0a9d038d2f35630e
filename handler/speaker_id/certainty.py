"""How certain an answer is, in numbers that identify nobody: monitoring watches them for drift."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from speaker_id.labels import parts

AT_ONCE = 64  # clips: enough that the calls of numpy cost little, and 2 MB of a thousand labels each


@dataclass(frozen=True)
class Certainty:
    """One head's answer to one clip, from its softmax scores p, best first.

    Attributes:
        surprise: the surprisal −ln p₁, in nats: 0 for a certain model, ln(labels) for one that guesses.
        margin: p₁ − p₂, in [0, 1].
        entropy: −Σ p ln p, in nats.
    """

    surprise: float
    margin: float
    entropy: float


def certainties(
    logits: Sequence[torch.Tensor], heads: Mapping[str, int], without: Collection[str] = ()
) -> list[tuple[Certainty, ...]]:
    """Return one Certainty of each head that was computed, for each clip.

    Args:
        logits: one vector a clip, shape (labels,).
        heads: how many labels each head has, in order; none means one classifier over all.
        without: heads that were not computed; "" for the only one.
    """
    each = dict(parts(heads)) or {"": slice(None)}
    computed = [part for head, part in each.items() if head not in without]
    found: list[tuple[Certainty, ...]] = []
    for start in range(0, len(logits), AT_ONCE):
        some = logits[start : start + AT_ONCE]
        # in fp64, which has the difference of any two fp32 numbers
        whole = torch.stack([*some]).to(dtype=torch.float64, device="cpu").numpy()
        found += zip(*(_of_one_head(whole[:, part]) for part in computed), strict=True)
    return found or [()] * len(logits)


def _of_one_head(logits: NDArray[np.float64]) -> list[Certainty]:
    """(clips, labels) → one Certainty a clip. With odds oᵢ = pᵢ / p₁, p₁ is 1 / Σ o and ln pᵢ is ln oᵢ − ln Σ o."""
    log_odds = logits - logits.max(1, keepdims=True)
    odds = np.exp(log_odds)
    total = odds.sum(1)
    surprises = np.log(total)
    second = np.partition(odds, -2)[:, -2] if odds.shape[1] > 1 else 0.0
    margins = (1 - second) / total
    entropies = surprises - (odds * log_odds).sum(1) / total
    return [*map(Certainty, surprises.tolist(), margins.tolist(), entropies.tolist())]
