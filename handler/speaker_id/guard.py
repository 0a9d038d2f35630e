"""How sure a closed-set head is that a clip is of one of its labels: what "unknown" is decided by.

Each method makes one number of a clip's logits, or of its embedding, higher for the known. Which one tells strangers
from the known best depends on the model, so it is chosen by measurement (`python -m measure.openset`):

    msp          the largest softmax probability: the baseline. Hendrycks & Gimpel 2017, arXiv 1610.02136
    max_logit    the largest logit. Hendrycks et al. 2022, arXiv 1911.11132
    energy       the log of the sum of exponentials of the logits. Liu et al. 2020, arXiv 2010.03759
    mahalanobis  minus the squared distance to the nearest label's mean, in the labels' common covariance.
                 Lee et al. 2018, arXiv 1807.03888
    cosine       to the nearest label's mean direction
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Method = Literal["msp", "max_logit", "energy", "mahalanobis", "cosine"]
METHODS: tuple[Method, ...] = get_args(Method)
SHRINKAGE = 0.1  # of the covariance towards its mean variance: few clips a label leave it near singular


@dataclass(frozen=True)
class LabelMeans:
    """What the methods on embeddings compare with.

    Attributes:
        means: (labels, width), of each label's embeddings.
        precision: (width, width), the inverse of the covariance within labels.
        directions: (labels, width), of unit length: of each label's embeddings' directions.
    """

    means: Tensor
    precision: Tensor
    directions: Tensor

    @classmethod
    def fit(cls, embeddings: Tensor, labels: Tensor) -> LabelMeans:
        """From clips of known labels.

        Args:
            embeddings: (clips, width).
            labels: (clips,), each label at least once.
        """
        count = int(labels.max()) + 1
        members = [embeddings[labels == label].double() for label in range(count)]
        means = torch.stack([each.mean(0) for each in members])
        within = embeddings.double() - means[labels]
        covariance = within.T @ within / max(1, len(embeddings) - count)
        spread = torch.eye(len(covariance), dtype=torch.float64) * covariance.diagonal().mean()
        covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread
        directions = torch.stack([F.normalize(each, dim=1).mean(0) for each in members])
        return cls(
            means.float(), torch.linalg.inv(covariance).float(), F.normalize(directions, dim=1).float()
        )


def confidence(method: Method, logits: Tensor, embeddings: Tensor, known: LabelMeans | None = None) -> Tensor:
    """(clips, labels) logits and (clips, width) embeddings → (clips,), higher for the known."""
    if method == "msp":
        return logits.softmax(1).amax(1)
    if method == "max_logit":
        return logits.amax(1)
    if method == "energy":
        return logits.logsumexp(1)
    assert known is not None, f"{method} compares with the labels' means"
    if method == "cosine":
        return (F.normalize(embeddings, dim=1) @ known.directions.T).amax(1)
    away = embeddings[:, None] - known.means
    return -torch.einsum("clw,wv,clv->cl", away, known.precision, away).amin(1)
