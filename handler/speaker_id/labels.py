"""Logits → ranked labels and scores, exactly as Hugging Face's audio-classification pipeline gives them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from speaker_id.protocol import Class, Output, Ranking, Rankings
from speaker_id.settings import ScoreFunction

Functions = ScoreFunction | Mapping[str, ScoreFunction]  # of all heads, or of each by its name


@dataclass(frozen=True)
class Labels:
    """What a model's logits stand for.

    Attributes:
        names: of the labels, in index order.
        heads: how many labels each head has, in order; none means one classifier over all.
        default: name of the head that "" stands for.
    """

    names: Sequence[str]
    heads: Mapping[str, int] = field(default_factory=dict)
    default: str = ""


def answer(
    logits: torch.Tensor,
    labels: Labels,
    top_k: int,
    function: Functions,
    wanted: Collection[str] | None = None,
) -> Rankings:
    """Rank the labels of one clip, or of each of its heads over that head's logits.

    Args:
        logits: shape (labels,).
        labels: of the model.
        top_k: as for `rank`.
        function: as for `rank`, of all heads or of each.
        wanted: names of the heads to rank; all by default. "" alone is answered without a name.
    """
    if not labels.heads:
        return rank(logits, labels.names, top_k, function_of("", function))
    found = {
        head: rank(logits[part], labels.names[part], top_k, function_of(head or labels.default, function))
        for head, part in parts(labels.heads, labels.default)
        if (head if wanted is None else head in wanted)
    }
    return found[""] if found.keys() == {""} else found


def function_of(head: str, function: Functions) -> ScoreFunction:
    return function if isinstance(function, str) else function[head]


def parts(heads: Mapping[str, int], default: str = "") -> Iterator[tuple[str, slice]]:
    """Yield each head's slice of the vector of logits: 6, 14 and 4 labels are [:6], [6:20] and [20:24].

    That of the default head, where there is one, is yielded under the name "" too.
    """
    start = 0
    for head, count in heads.items():
        yield head, slice(start, start + count)
        if head == default:
            yield "", slice(start, start + count)
        start += count


def rank(logits: torch.Tensor, labels: Sequence[str], top_k: int, function: ScoreFunction) -> Ranking:
    """Return the `top_k` best labels of one clip, best first.

    Args:
        logits: shape (labels,). Converted to fp32 whatever the encoder's precision: some checkpoints of this family
            have logits above fp16's 65,504.
        labels: names in index order.
        top_k: at least 1; more than there are labels returns all.
        function: softmax and sigmoid give scores in [0, 1]; none gives the logits themselves.
    """
    return [{"label": label, "score": score} for score, _, label in classes(logits, labels, top_k, function)]


def classes(logits: torch.Tensor, labels: Sequence[str], count: int, function: ScoreFunction) -> list[Class]:
    """Return the best labels of one clip with their scores and indices; arguments as for `rank`."""
    best, indices = scored(logits, function).topk(min(count, len(labels)))
    return [
        (score, index, labels[index]) for score, index in zip(best.tolist(), indices.tolist(), strict=True)
    ]


def classified(logits: torch.Tensor, labels: Labels, output: Output, function: Functions) -> list[Class]:
    """Return the classes of one clip that an output asks for, of its head where the model has several."""
    head = output.name.rpartition(".")[0] or labels.default
    part = dict(parts(labels.heads))[head] if labels.heads else slice(None)
    return classes(logits[part], labels.names[part], output.classes or 0, function_of(head, function))


def scored(logits: torch.Tensor, function: ScoreFunction) -> torch.Tensor:
    """Return every label's score, fp32, in the labels' order; `function` as for `rank`."""
    scores = logits.to(dtype=torch.float32, device="cpu")
    if function == "softmax":
        return scores.softmax(-1)
    return scores.sigmoid() if function == "sigmoid" else scores
