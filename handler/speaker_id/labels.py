"""Logits → ranked labels and scores, exactly as Hugging Face's audio-classification pipeline gives them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from speaker_id.protocol import Ranking
from speaker_id.protocol.request import Function


def rank(logits: torch.Tensor, labels: Sequence[str], top_k: int, function: Function) -> Ranking:
    """The `top_k` best labels of one clip, best first.

    Args:
        logits: shape (labels,). Worked in fp32 whatever the encoder's precision: some checkpoints of this family
            have logits past fp16's 65,504.
        labels: names in index order.
        top_k: at least 1; more than there are labels means all.
        function: softmax and sigmoid give scores in [0, 1]; none gives the logits themselves.
    """
    scores = logits.to(dtype=torch.float32, device="cpu")
    if function == "softmax":
        scores = scores.softmax(-1)
    elif function == "sigmoid":
        scores = scores.sigmoid()
    best, indices = scores.topk(min(top_k, len(labels)))
    return [
        {"label": labels[index], "score": score}
        for score, index in zip(best.tolist(), indices.tolist(), strict=True)
    ]
