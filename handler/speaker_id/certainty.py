"""How certain an answer is, in numbers that identify nobody: monitoring watches them for drift."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from speaker_id.labels import parts


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
) -> list[Certainty]:
    """Return one Certainty a clip, or one a clip and head.

    Args:
        logits: one vector a clip, shape (labels,).
        heads: how many labels each head has, in order; none means one classifier over all.
        without: heads that were not computed; "" for the only one.
    """
    if not logits:
        return []
    whole = torch.stack(list(logits)).to(dtype=torch.float32, device="cpu")
    return [
        each for part in (whole[:, part] for part in _slices(heads, without)) for each in _of_one_head(part)
    ]


def _slices(heads: Mapping[str, int], without: Collection[str]) -> list[slice]:
    each = dict(parts(heads)) or {"": slice(None)}
    return [part for head, part in each.items() if head not in without]


def _of_one_head(logits: torch.Tensor) -> list[Certainty]:
    log = logits.log_softmax(-1)
    entropies = torch.special.entr(log.exp()).sum(-1).tolist()
    found = []
    for best, entropy in zip(log.topk(min(2, log.shape[-1])).values, entropies, strict=True):
        first, *second = best.exp().tolist()
        found.append(Certainty(-float(best[0]), first - sum(second), entropy))
    return found
