"""A closed-set head's "unknown": its logits, or its embedding → one more logit beside those of its labels.

A guard is one safetensors file: what the methods of `confidence` compare with, and of each method two numbers that make
a probability of its score, and the thresholds of several false-alarm rates. "unknown" competes with the head's labels
as one more, whose logit is

    max(logits) + slope · (threshold − score).

The softmax of all is then P(label) = softmax(logits) · P(known), so the labels keep their order and their ratios, and
"unknown" ranks first exactly where the score does not pass the threshold. As in a gallery, that is the posterior for
the share of strangers at which the threshold is the best decision, and at `neutral` for that of the calibration.

A sound without a voice may lie near a label, as near a gallery's voice. To the methods on embeddings a clip that is
nearer to such a sound than the threshold is as unknown as that; the logits alone do not tell sounds apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from speaker_id import confidence
from speaker_id.calibrated import UNKNOWN, Calibrated, Maker, Part
from speaker_id.checkpoint import Checkpoint
from speaker_id.confidence import OF_EMBEDDINGS, Distances, LabelMeans, Numbers, symmetric, triangle
from speaker_id.gallery import fingerprint
from speaker_id.manifest import CheckpointError, GuardCard, Method

FORM = 2  # of the file; another is refused
TENSORS = ("means", "precision", "directions", "centre", "spread", "sounds")
# pydantic's and json's errors are ValueErrors
NO_GUARD = (OSError, SafetensorError, ValueError, AttributeError)
SURE = 80.0  # log odds, beyond which fp32 has no probability


class GuardManifest(Part):
    """What a guard was made from.

    Attributes:
        made: the head's model; its `dim` is the width of the head's own embedding.
        labels: how many the head has.
        clips, strangers: of the calibration.
        people: how many strangers those are of.
        calibrated: date, UTC.
        methods: all of them, so that model.yaml may choose.
    """

    form: int = FORM
    made: Maker
    labels: int = Field(ge=2)
    clips: int = Field(ge=1)
    strangers: int = Field(ge=1)
    people: int = Field(ge=1)
    calibrated: str
    methods: dict[Method, Calibrated]


@dataclass(frozen=True)
class Guard:
    """The file.

    Attributes:
        known: of the head's labels, in the logits' order.
        sounds: (sounds, width), embeddings of sounds without a voice.
    """

    manifest: GuardManifest
    known: LabelMeans
    sounds: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """By the names that the file has; of symmetric ones the lower triangle, row by row."""
        known = self.known
        return {
            "means": known.means,
            "precision": triangle(known.precision),
            "directions": known.directions,
            "centre": known.centre,
            "spread": triangle(known.spread),
            "sounds": self.sounds,
        }

    def soundlike(self, method: Method, embeddings: Tensor) -> Tensor:
        """(clips, width) → (clips,): the score that a clip has with the nearest of the sounds without a voice."""
        if method not in OF_EMBEDDINGS or not len(self.sounds):
            return torch.full((len(embeddings),), -math.inf)
        return confidence.nearness(method, embeddings, self.sounds, self.known)

    @cached_property
    def distances(self) -> Distances:
        """To the labels' means and the sounds."""
        return Distances.to(torch.cat([self.known.means, self.sounds]), self.known.precision)

    def scores(self, method: Method, logits: Tensor, embeddings: Tensor) -> Sequence[Tensor | Numbers]:
        """(clips, labels) and (clips, width) → `confidence` and `soundlike` of each clip, in one pass."""
        if method not in ("mahalanobis", "relative") or not len(self.sounds):
            score = confidence.confidence(method, logits, embeddings, self.known)
            return score, self.soundlike(method, embeddings)
        labels = len(self.known.means)
        groups = slice(labels), slice(labels, None)
        return confidence.nearnesses(method, embeddings, self.distances, groups, self.known)

    @classmethod
    def read(cls, path: Path) -> Guard:
        """Read a guard.

        Raises:
            CheckpointError: it is not one, of another form, or its tensors are not what its manifest says.
        """
        try:
            with safe_open(path, "pt") as file:
                text = (file.metadata() or {}).get("guard", "")
                form = json.loads(text or "{}").get("form", FORM)
                if form != FORM:
                    raise CheckpointError(
                        f"{path.name} has form {form}, this version reads {FORM}: run `make guard` again"
                    )
                manifest = GuardManifest.model_validate_json(text)
                tensors = {name: file.get_tensor(name) for name in TENSORS}
        except NO_GUARD as exc:
            raise CheckpointError(f"{path.name} is no guard: {exc}; run `make guard` again") from exc
        labels, dim = manifest.labels, manifest.made.dim
        half, sounds = (dim * (dim + 1) // 2,), tensors["sounds"].shape[:1] or (0,)
        shapes = ((labels, dim), half, (labels, dim), (dim,), half, (*sounds, dim))
        for (name, tensor), shape in zip(tensors.items(), shapes, strict=True):
            if tensor.shape != shape or tensor.dtype != torch.float32:
                raise CheckpointError(
                    f"{path.name} holds {name} of {tuple(tensor.shape)}, not {shape} in fp32"
                )
            if not tensor.isfinite().all():
                raise CheckpointError(f"{path.name} holds {name} that are not finite: damaged")
        known = LabelMeans(
            tensors["means"],
            symmetric(tensors["precision"], dim),
            tensors["directions"],
            tensors["centre"],
            symmetric(tensors["spread"], dim),
        )
        return cls(manifest, known, tensors["sounds"])

    def write(self, path: Path) -> None:
        """Write the file."""
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors().items()}
        save_file(tensors, path, {"guard": self.manifest.model_dump_json()})
        path.chmod(0o644)  # safetensors writes for its owner only; a server may run as another user

    def check(self, made: Maker) -> None:
        """Raise CheckpointError unless `made` is the head that this guard was calibrated for."""
        mine = self.manifest.made
        if not mine.same(made):
            raise CheckpointError(
                f"the guard was calibrated for {mine.model} ({mine.sha256[:12]}…, {mine.dim} dimensions), not for this "
                f"head ({made.sha256[:12]}…, {made.dim}): run `make guard` on the recordings again"
            )


@dataclass(frozen=True)
class Guarded:
    """A head's labels and "unknown", by one of a guard's methods: an `OpenSet` of that classifier.

    Attributes:
        labels: of the answer: the head's, then "unknown".
        fpir: false-alarm rate of a request that does not say.
        source: the head's index among the model's.
    """

    guard: Guard
    labels: tuple[str, ...]
    method: Method
    fpir: float
    source: int = 0

    @classmethod
    def load(
        cls, path: Path, card: GuardCard, made: Maker, labels: tuple[str, ...], source: int = 0
    ) -> Guarded:
        """Read a head's guard, and check that it is this head's.

        Raises:
            CheckpointError: it is not, or has no such method.
        """
        guard = Guard.read(path)
        guard.check(made)
        if len(labels) != guard.manifest.labels:
            raise CheckpointError(
                f"{path.name} is of {guard.manifest.labels} labels, the head has {len(labels)}"
            )
        if card.method not in guard.manifest.methods:
            raise CheckpointError(f"{path.name} has no method {card.method}: run `make guard` again")
        return cls(guard, (*labels, UNKNOWN), card.method, card.fpir, source)

    @property
    def reads(self) -> int:
        """How many logits it reads: those of the head."""
        return len(self.labels) - 1

    @property
    def embeds(self) -> bool:
        """Whether it needs the head's embedding."""
        return self.method in OF_EMBEDDINGS

    def logits(
        self,
        rows: Tensor,
        embeddings: Tensor | None,
        /,
        fpir: float | None = None,
        min_score: float | None = None,
    ) -> Tensor:
        """(clips, labels - 1) and (clips, width) → (clips, labels): their softmax are the probabilities of `labels`.

        Args:
            rows: the head's logits.
            embeddings: the head's own, not normalised; None for a method on logits.
            fpir: false-alarm rate of this request.
            min_score: or the probability, against "unknown" alone at the neutral threshold, that a label must reach.
        """
        rows, calibrated = rows.float(), self.guard.manifest.methods[self.method]
        embeddings = rows.new_empty(len(rows), 0) if embeddings is None else embeddings.float()
        found = self.guard.scores(self.method, rows, embeddings)
        scores, sounds = (np.asarray(each, np.float64) for each in found)
        least = np.maximum(sounds, calibrated.threshold(self.fpir if fpir is None else fpir, min_score))
        odds = calibrated.slope * (least - scores)  # log, of "unknown" against the best label
        logits = np.empty((len(rows), len(self.labels)), np.float32)
        logits[:, :-1] = rows.numpy()
        logits[:, -1] = logits[:, :-1].max(1) + np.fmin(SURE, np.fmax(-SURE, odds)).astype(np.float32)
        return torch.from_numpy(logits)


def guards(folder: Path, loaded: Checkpoint) -> dict[str, Guarded]:
    """Read the guards of a loaded checkpoint, by the head's name; "" for a model of one.

    Raises:
        CheckpointError: one is not of its head.
    """
    found = {}
    for index, (head, card) in enumerate(loaded.manifest.guards().items()):
        if card is not None:
            name, labels = guardable(loaded, head)
            found[name] = Guarded.load(folder / card.file, card, maker(loaded, head), labels, index)
    return found


def guardable(loaded: Checkpoint, head: str) -> tuple[str, tuple[str, ...]]:
    """Return the name that answers have for a head that can have a guard, and its labels.

    Args:
        head: its name; empty for a model of one.

    Raises:
        CheckpointError: it cannot; says why.
    """
    classifiers = loaded.by_head()
    name = f"head {head}" if head else "the model"
    if not head and len(classifiers) == 1:
        (head,) = classifiers  # beside a gallery it has a name
    if head not in classifiers:
        groups = [each for each in classifiers if not head or each.startswith(f"{head}.")]
        why = f"has several classifiers ({', '.join(groups)})" if groups else "has no labels"
        raise CheckpointError(f"{name} {why}: a guard is of one classifier")
    labels, function = classifiers[head], loaded.function_of(head)
    if function != "softmax":
        raise CheckpointError(
            f"{name} has {function} scores: a guard is of labels that exclude each other, softmax"
        )
    if UNKNOWN in labels:
        raise CheckpointError(f"{name} has a label {UNKNOWN!r} of its own: it cannot have a guard")
    if len(labels) < 2:
        raise CheckpointError(f"{name} has one label: a guard is of a head with at least two")
    return head, labels


def maker(loaded: Checkpoint, head: str) -> Maker:
    """Return a head's identity: its guard depends on all of its tensors, the classifier's too."""
    model, manifest = model_of(loaded, head), loaded.manifest
    return Maker(
        model=manifest.name,
        revision=manifest.revision,
        sha256=fingerprint(model.state_dict(), ()),
        dim=model.classifier.in_features,
    )


def model_of(loaded: Checkpoint, head: str) -> Any:
    """Return the transformers model of a head; the only one where it has no name."""
    return (loaded.model, *loaded.others)[[*loaded.manifest.heads].index(head) if head else 0]
