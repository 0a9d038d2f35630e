"""Heads that may answer "unknown": what the pipeline requires of one, and how their logits join those of the model.

Two kinds are served. A gallery (`gallery`) makes its logits of the model's embedding, and is one more head; a guard
adds "unknown" to the labels of a classifier. In both the last label is "unknown", and the softmax of the logits are
probabilities: it ranks first exactly where no other label passes the threshold that the request asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from speaker_id.heads import Source


class OpenSet(Protocol):
    """One head's logits, of clips that ask for the same threshold.

    Attributes:
        labels: of the answer, in the order of the logits; the last is "unknown".
        reads: how many logits of the model it reads: those of the classifier that it guards, or none.
        embeds: whether it reads an embedding.
        source: whose that is.
    """

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def reads(self) -> int: ...
    @property
    def embeds(self) -> bool: ...
    @property
    def source(self) -> Source: ...

    def logits(
        self,
        rows: Tensor,
        embeddings: Tensor | None,
        /,
        fpir: float | None = None,
        min_score: float | None = None,
    ) -> Tensor:
        """Compute (clips, labels), fp32, whose softmax are the probabilities. No clip's depend on the others.

        Args:
            rows: (clips, reads), the model's logits that it reads.
            embeddings: (clips, width), of `source`; None unless `embeds`.
            fpir: the share of strangers' clips that may get another label than "unknown" in this request; the head's
                own if None.
            min_score: or the probability, against "unknown" alone, that a label must reach.
        """
        ...


def answered(
    classifiers: Mapping[str, tuple[str, ...]], sets: Mapping[str, OpenSet]
) -> dict[str, tuple[str, ...]]:
    """Return the labels of each head of the answer: those of the model's classifiers, open sets in their places."""
    return {**classifiers, **{head: each.labels for head, each in sets.items()}}


@dataclass(frozen=True)
class OperatingPoint:
    """What a request asks of "unknown": at most one of the two, as `OpenSet.logits` has them."""

    fpir: float | None = None
    min_score: float | None = None


@dataclass(frozen=True)
class Joined:
    """The logits of all heads side by side, those of open sets in their places.

    Attributes:
        heads: labels of each head, in order; "" for the only one without a name.
        sets: the open sets among them.
    """

    heads: Mapping[str, int]
    sets: Mapping[str, OpenSet]

    @property
    def reads(self) -> int:
        """How many logits the model has."""
        return sum(
            self.sets[head].reads if head in self.sets else count for head, count in self.heads.items()
        )

    def sources(self, asked: Collection[str]) -> list[Source]:
        """Return whose embeddings these heads read."""
        return [opened.source for head, opened in self.sets.items() if head in asked and opened.embeds]

    def logits(
        self,
        rows: Tensor,
        embeddings: Mapping[Source, Tensor],
        asked: Collection[str],
        threshold: OperatingPoint,
    ) -> Tensor:
        """(clips, model's outputs) → (clips, labels) of all heads.

        Args:
            rows: the model's logits.
            embeddings: (clips, width), those of `sources(asked)` at least.
            asked: heads whose answer is looked at; the logits of other open sets are zeros.
            threshold: what the clips' requests ask for.
        """
        if not self.sets:
            return rows
        parts, start = [], 0
        for head, count in self.heads.items():
            opened = self.sets.get(head)
            stop = start + (count if opened is None else opened.reads)
            part = rows[:, start:stop]
            if opened is not None and head in asked:
                given = embeddings[opened.source] if opened.embeds else None
                part = opened.logits(part, given, threshold.fpir, threshold.min_score)
            elif opened is not None:
                part = rows.new_zeros(len(rows), count)
            parts.append(part)
            start = stop
        assert start == rows.shape[1], "the heads' layout is the model's"
        return torch.cat(parts, 1)
