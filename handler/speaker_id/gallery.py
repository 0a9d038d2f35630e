"""Voices of one's own: an embedding → the enrolled voice it is, or "unknown", with probabilities.

A gallery is one safetensors file. Its tensors are unit vectors, one or several a voice, and its manifest (JSON, in the
file's metadata) says which model made them, how scores become probabilities and where the threshold stands.

Scores are cosines. Two numbers make probabilities of them: a slope, and the threshold that a request's false-alarm
rate asks for. "unknown" competes as one more voice whose score is the threshold,

    P(voice) = exp(slope · score) / (exp(slope · threshold) + Σ exp(slope · scores)),

so that it ranks first exactly where no voice passes. By Bayes' rule that is the posterior for the share of strangers
at which the threshold is the best decision; at the threshold `neutral` the share is that of the enrolment's own trials.

Sounds without a voice (silence, hum, tones, noise) may lie near a voice, since no training asked for them to lie
elsewhere. The gallery holds vectors of them too: a clip nearer to one than the threshold is as unknown as that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from speaker_id.calibrated import Maker
from speaker_id.checkpoint import Checkpoint
from speaker_id.gallery_manifest import GalleryManifest, read_manifest
from speaker_id.heads import of_embedding
from speaker_id.manifest import TRAINING_ONLY, CheckpointError

UNUSED = ("classifier.", "objective.")  # tensors behind the embedding


@dataclass(frozen=True)
class Gallery:
    """Enrolled voices: an `OpenSet` of the model's embedding.

    Attributes:
        vectors: (rows, dim), fp32, of unit length.
        owners: (rows,), int64: which voice each row is of.
        sounds: (sounds, dim), of unit length: sounds without a voice.
    """

    manifest: GalleryManifest
    vectors: Tensor
    owners: Tensor
    sounds: Tensor
    reads = 0
    embeds = True
    source = None  # the model's

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Of the answer: the voices, then "unknown"."""
        return self.manifest.labels

    def scores(self, embedding: Tensor) -> Tensor:
        """(dim,) → (voices,): cosine to the nearest vector of each voice."""
        cosines = self.vectors @ F.normalize(embedding.float(), dim=0)
        best = torch.full((len(self.manifest.voices),), -1.0)
        return best.scatter_reduce(0, self.owners, cosines, "amax")

    def logits(
        self,
        _: Tensor,
        embeddings: Tensor | None,
        /,
        fpir: float | None = None,
        min_score: float | None = None,
    ) -> Tensor:
        """(clips, dim) → (clips, voices + 1): their softmax are the probabilities of `labels`. No logit is read.

        Args:
            fpir: false-alarm rate of this request.
            min_score: or the probability, against "unknown" alone at the neutral threshold, that a voice must reach.
        """
        assert embeddings is not None, "embeds"
        threshold = self.threshold(fpir, min_score)
        return torch.stack([self._logits(embedding, threshold) for embedding in embeddings])

    def _logits(self, embedding: Tensor, unknown: float) -> Tensor:
        """Of one clip; a product of several would give it other digits."""
        scores, sound = self.scores(embedding), self.soundlike(embedding)
        # A sound decides where it is the nearest of all, and changes no probability elsewhere: they were calibrated
        # against the threshold alone.
        if sound > float(scores.max()):
            unknown = max(unknown, sound)
        return self.manifest.slope * torch.cat([scores, torch.tensor([unknown])])

    def soundlike(self, embedding: Tensor) -> float:
        """(dim,) → cosine to the nearest of the sounds without a voice."""
        cosines = self.sounds @ F.normalize(embedding.float(), dim=0)
        return float(cosines.max()) if len(cosines) else -1.0

    def threshold(self, fpir: float | None = None, min_score: float | None = None) -> float:
        """The cosine that a voice must pass."""
        least = self.manifest.threshold(self.manifest.fpir if fpir is None else fpir, min_score)
        return min(1.0, max(-1.0, least))

    @classmethod
    def read(cls, path: Path) -> Gallery:
        """Read a gallery.

        Raises:
            CheckpointError: it is not one, of another form, or its tensors are not what its manifest says.
        """
        manifest = read_manifest(path)
        try:
            with safe_open(path, "pt") as file:
                vectors, owners = file.get_tensor("vectors"), file.get_tensor("owners")
                sounds = file.get_tensor("sounds")
        except (OSError, SafetensorError) as exc:
            raise CheckpointError(f"{path.name} is no gallery: {exc}; run `make enrol` again") from exc
        if vectors.ndim != 2 or vectors.shape[1] != manifest.made.dim or vectors.dtype != torch.float32:
            raise CheckpointError(
                f"{path.name} holds vectors of {tuple(vectors.shape)}, not (rows, {manifest.made.dim})"
            )
        of_rows = owners.shape == vectors.shape[:1] and owners.dtype == torch.int64
        if not of_rows or set(owners.tolist()) != set(range(len(manifest.voices))):
            raise CheckpointError(
                f"{path.name} does not hold vectors of each of its {len(manifest.voices)} voices"
            )
        if sounds.ndim != 2 or sounds.shape[1] != manifest.made.dim or sounds.dtype != torch.float32:
            raise CheckpointError(
                f"{path.name} holds sounds of {tuple(sounds.shape)}, not (sounds, {manifest.made.dim})"
            )
        rows = torch.cat([vectors, sounds])
        if not torch.allclose(rows.norm(dim=1), torch.ones(len(rows)), atol=1e-4):
            raise CheckpointError(
                f"{path.name} holds vectors that are not of unit length: damaged, or not finite"
            )
        return cls(manifest, vectors, owners, sounds)

    def write(self, path: Path) -> None:
        """Write the file."""
        tensors = {
            "vectors": self.vectors.contiguous(),
            "owners": self.owners.contiguous(),
            "sounds": self.sounds.contiguous(),
        }
        save_file(tensors, path, {"gallery": self.manifest.model_dump_json()})

    def check(self, made: Maker) -> None:
        """Raise CheckpointError unless `made` computes this gallery's embeddings."""
        mine = self.manifest.made
        if not mine.same(made):
            raise CheckpointError(
                f"the gallery was enrolled with {mine.model} ({mine.sha256[:12]}…, {mine.dim} dimensions), not with "
                f"this model ({made.sha256[:12]}…, {made.dim}): run "
                f"`make enrol MODEL={made.model}` on the recordings again"
            )


def maker(loaded: Checkpoint) -> Maker:
    """Return what computes the embeddings of a loaded checkpoint."""
    models = (loaded.model, *loaded.others)
    source = models[of_embedding(models)]
    return Maker(
        model=loaded.manifest.name,
        revision=loaded.manifest.revision,
        sha256=fingerprint(source.state_dict()),
        dim=source.classifier.in_features,  # which reads the embedding in both kinds of heads
    )


def fingerprint(tensors: Mapping[str, Tensor], unused: tuple[str, ...] = UNUSED) -> str:
    """SHA-256 of a checkpoint's tensors that its answers depend on: names, types, shapes and bytes, in order.

    Args:
        unused: beginnings of the names of those that it does not depend on.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if not name.startswith(unused) and not name.endswith(TRAINING_ONLY):
            tensor = tensors[name].detach().cpu().contiguous()
            digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
