"""Guards of any head and any clips, for tests: calibrating on real voices takes recordings and minutes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from speaker_id.calibrated import Calibrated, Threshold
from speaker_id.clip import Waveform
from speaker_id.confidence import METHODS, LabelMeans, nearness
from speaker_id.guard import Guard, GuardManifest

from bundle.enrolment.classifier import Classifier


def write_guard(
    path: Path, checkpoint: Path, clips: Mapping[str, Waveform], strangers: list[Waveform], head: str = ""
) -> Path:
    """Write a guard by which a clip is known only if it is a label's own; with fpir 0.5 every clip is.

    Args:
        path: of the file.
        checkpoint: the converted checkpoint.
        clips: one for each label.
        strangers: clips that are told from them. The methods on logits tell nothing.
        head: the head's name, of a model of several.
    """
    classifier = Classifier(checkpoint, head)
    means = torch.stack([classifier(clips[label])[1] for label in classifier.labels])
    others = torch.stack([classifier(clip)[1] for clip in strangers])
    width = means.shape[1]
    known = LabelMeans(
        means, torch.eye(width), F.normalize(means, dim=1), torch.zeros(width), torch.eye(width)
    )
    least = dict.fromkeys(METHODS, 0.0)
    for method, own in (("mahalanobis", 25.0), ("relative", 20.0), ("cosine", 1.0)):
        points = known.directions if method == "cosine" else known.means
        nearest = float(nearness(method, others, points, known).max())
        assert nearest < own - 1e-5, "the clips cannot be told apart"
        least[method] = (own + nearest) / 2
    manifest = GuardManifest(
        made=classifier.maker,
        labels=len(means),
        clips=len(means),
        strangers=len(strangers),
        people=len(strangers),
        calibrated="2026-01-01",
        methods={
            method: Calibrated(
                slope=1e5 if method == "cosine" else 5.0,
                neutral=threshold,
                thresholds=(
                    Threshold(fpir=0.5, score=-1e6, observed=True),
                    Threshold(fpir=0.1, score=threshold, observed=True),
                    Threshold(fpir=0.001, score=threshold, observed=False),
                ),
            )
            for method, threshold in least.items()
        },
    )
    Guard(manifest, known, torch.empty(0, means.shape[1])).write(path)
    return path
