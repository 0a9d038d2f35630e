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
    relative     that plus the log of the squared distance to the mean of strangers, in their covariance: what would
                 be unusual in any voice, such as a room, counts in both and cancels out. Ren et al. 2021, arXiv
                 2106.09022, who take the difference without the logs
    cosine       to the nearest label's mean direction
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from speaker_id.manifest import Method

METHODS: tuple[Method, ...] = get_args(Method)
OF_EMBEDDINGS: tuple[Method, ...] = ("mahalanobis", "relative", "cosine")
Numbers = npt.NDArray[np.float64]
NEAREST = 1e-12  # squared distance, whose log is still finite


@dataclass(frozen=True)
class LabelMeans:
    """What the methods on embeddings compare with.

    Attributes:
        means: (labels, width), of each label's embeddings.
        precision: (width, width), the inverse of the covariance within labels.
        directions: (labels, width), of unit length: of each label's embeddings' directions.
        centre: (width,), of strangers' embeddings.
        spread: (width, width), the inverse of their covariance.
    """

    means: Tensor
    precision: Tensor
    directions: Tensor
    centre: Tensor
    spread: Tensor

    @cached_property
    def from_centre(self) -> Distances:
        """Of embeddings, to strangers'."""
        return Distances.to(self.centre[None], self.spread)

    @classmethod
    def fit(cls, embeddings: Tensor, labels: Tensor, strangers: Tensor) -> LabelMeans:
        """From clips of known labels, and of none of them.

        Args:
            embeddings: (clips, width).
            labels: (clips,), each label at least once.
            strangers: (clips, width).
        """
        count = int(labels.max()) + 1
        members = [embeddings[labels == label].double() for label in range(count)]
        means = torch.stack([each.mean(0) for each in members])
        within = embeddings.double() - means[labels]
        directions = torch.stack([F.normalize(each, dim=1).mean(0) for each in members])
        centre = strangers.double().mean(0)
        return cls(
            means.float(),
            precision(within, max(1, len(embeddings) - count)).float(),
            F.normalize(directions, dim=1).float(),
            centre.float(),
            precision(strangers.double() - centre, len(strangers)).float(),
        )


def precision(centred: Tensor, freedom: int) -> Tensor:
    """(clips, width) around their mean → (width, width), the inverse of their covariance.

    It is shrunk towards its mean variance, since few clips leave it near singular, by as much as costs least where
    they are normal: Chen et al. 2010, arXiv 0907.4698, equation 23.

    Args:
        freedom: what the sum of squares is divided by.
    """
    clips, width = centred.shape
    covariance = centred.T @ centred / freedom
    squares, trace = covariance.square().sum(), covariance.trace()
    excess = (clips + 1 - 2 / width) * (squares - trace**2 / width)
    most = (1 - 2 / width) * squares + trace**2
    shrinkage = float(most / excess) if excess > most else 1.0
    mean = trace / width * torch.eye(width, dtype=covariance.dtype)
    shrunk: Tensor = (1 - shrinkage) * covariance + shrinkage * mean
    return shrunk.inverse()


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
    return nearness(method, embeddings, known.directions if method == "cosine" else known.means, known)


def nearness(method: Method, embeddings: Tensor, points: Tensor, known: LabelMeans) -> Tensor:
    """(clips, width) → (clips,): how near to the nearest of (points, width), as the method measures."""
    if method == "cosine":
        directions, others = F.normalize(embeddings, dim=1).numpy(), F.normalize(points, dim=1).numpy()
        cosines = (directions[:, None] @ others.T)[:, 0]  # a product for each clip, as below
        return torch.from_numpy(cosines.max(1))
    distances = Distances.to(points, known.precision)
    (nearest,) = nearnesses(method, embeddings, distances, [slice(None)], known)
    return torch.from_numpy(nearest).float()


def nearnesses(
    method: Method, embeddings: Tensor, distances: Distances, groups: Sequence[slice], known: LabelMeans
) -> list[Numbers]:
    """Return `nearness` to each of several groups of points; what they have in common is computed once.

    Args:
        method: one that measures distances.
        distances: to the points of all groups, in `known.precision`.
        groups: where each group's points are, at least one.
    """
    asked = embeddings.double().numpy()
    squared = distances(asked)
    near = [-log_nearest(squared[:, group]) for group in groups]
    if method == "relative":
        common = log_nearest(known.from_centre(asked))
        near = [each + common for each in near]
    return near


def log_nearest(squared: Numbers) -> Numbers:
    """(clips, points) → (clips,): log of the squared distance to the nearest point."""
    found: Numbers = np.log(np.maximum(squared.min(1), NEAREST))
    return found


@dataclass(frozen=True)
class Distances:
    """Squared distances to points in the metric of an inverse covariance P: x·Px − 2 x·Pp + p·Pp.

    What depends on the points alone is computed once, so that a clip costs one product with P and not one for each
    point. In double precision, where the difference loses nothing that fp32 has, and in numpy: on so few numbers an
    operation costs what its call does, and torch's calls cost more.

    Attributes:
        precision: (width, width), P.
        scaled: (width, points), P p of each.
        constant: (points,), p·Pp.
    """

    precision: Numbers
    scaled: Numbers
    constant: Numbers

    @classmethod
    def to(cls, points: Tensor, precision: Tensor) -> Distances:
        to, metric = points.double().numpy(), precision.double().numpy()
        metric = (metric + metric.T) / 2  # a computed inverse is symmetric except in its last digits
        scaled = metric @ to.T
        return cls(metric, scaled, (scaled.T * to).sum(1))

    def __call__(self, asked: Numbers) -> Numbers:
        """(clips, width) → (clips, points). A product for each clip: its digits do not depend on the others."""
        each = asked[:, None]
        own = (each @ self.precision * each).sum(2)
        found: Numbers = own - 2 * (each @ self.scaled)[:, 0] + self.constant
        return found


def triangle(full: Tensor) -> Tensor:
    """(width, width), symmetric → (width · (width + 1) / 2,), the lower triangle row by row."""
    rows, columns = torch.tril_indices(*full.shape)
    return full[rows, columns]


def symmetric(half: Tensor, width: int) -> Tensor:
    """What `triangle` was made of."""
    rows, columns = torch.tril_indices(width, width)
    full = half.new_empty(width, width)
    full[rows, columns] = half
    full[columns, rows] = half
    return full
