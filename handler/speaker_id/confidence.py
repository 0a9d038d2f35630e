"""How sure a closed-set head is that a clip is of one of its labels: what "unknown" is decided by.

Each method makes one score of a clip's logits, or of its embedding, higher for the known and without ends (but for the
cosine's). Which one tells strangers from the known best depends on the model, so it is chosen by measurement
(`make guard` of one's own recordings, `python -m measure.openset` of the demo's):

    msp          the largest softmax probability, as its log odds, which do not round to 1: the baseline.
                 Hendrycks & Gimpel 2017, arXiv 1610.02136
    max_logit    the largest logit. Hendrycks et al. 2022, arXiv 1911.11132
    energy       the log of the sum of exponentials of the logits. Liu et al. 2020, arXiv 2010.03759
    mahalanobis  minus the log of the squared distance to the nearest label's mean, in the labels' common covariance.
                 Lee et al. 2018, arXiv 1807.03888
    cosine       to the nearest label's mean direction
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.manifest import Method

METHODS: tuple[Method, ...] = get_args(Method)
OF_EMBEDDINGS: tuple[Method, ...] = ("mahalanobis", "cosine")
SHRINKAGE = 0.1  # of the covariance towards its mean variance: few clips a label leave it near singular
NEAREST = 1e-12  # squared distance, whose log is still finite


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
        falling = logits.sort(1, descending=True).values
        return falling[:, 0] - falling[:, 1:].logsumexp(1)
    if method == "max_logit":
        return logits.amax(1)
    if method == "energy":
        return logits.logsumexp(1)
    assert known is not None, f"{method} compares with the labels' means"
    return nearness(method, embeddings, known.means if method == "mahalanobis" else known.directions, known)


def nearness(method: Method, embeddings: Tensor, points: Tensor, known: LabelMeans) -> Tensor:
    """(clips, width) → (clips,): how near to the nearest of (points, width), as the method measures."""
    if method == "cosine":
        return (F.normalize(embeddings, dim=1) @ F.normalize(points, dim=1).T).amax(1)
    away = embeddings[:, None] - points
    squared = torch.einsum("cpw,wv,cpv->cp", away, known.precision, away).amin(1)
    return -squared.clamp_min(NEAREST).log()
