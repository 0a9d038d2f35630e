"""A head of a converted checkpoint → the logits and the head's own embedding of a clip, as the reference encoder
computes them: the clip alone, in fp32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from speaker_id import checkpoint, guard
from speaker_id.clip import Waveform
from speaker_id.encoder.reference import ReferenceEncoder
from torch import Tensor

from bundle import BundleError
from bundle.enrolment.recordings import Recording


class Classifier:
    """One closed-set head of a checkpoint's folder, which is verified first.

    Args:
        folder: the checkpoint.
        head: its name; empty for a model of one head.
        groups: labels of each classifier, where several share one model's vector of logits.

    Raises:
        CheckpointError: the folder is not what its manifest says.
        BundleError: it has no such head, or one that cannot have a guard.
    """

    def __init__(self, folder: Path, head: str = "", groups: Mapping[str, int] | None = None) -> None:
        loaded = checkpoint.load(folder, heads=groups)
        manifest = loaded.manifest
        known = [*manifest.heads] or [""]
        if head not in known:
            names = ", ".join(known) if manifest.heads else "it has one, without a name"
            raise BundleError(
                f"HEAD={head} is no head of {manifest.name}: {names}"
                if head
                else f"HEAD is missing: {manifest.name} has several heads, say which gets the guard, one of {names}"
            )
        _, self.labels = guard.guardable(loaded, head)
        self.maker = guard.maker(loaded, head)
        self.sampling_rate = loaded.sampling_rate
        self._encoder = ReferenceEncoder(guard.model_of(loaded, head), loaded.feature_extractor, "cpu")

    def __call__(self, waveform: Waveform) -> tuple[Tensor, Tensor]:
        """(samples,) at `sampling_rate` → (labels,) and (width,), fp32."""
        logits, embeddings = self._encoder.embed([waveform])
        return logits[0], embeddings[0]

    def labelled(self, voices: Mapping[str, Sequence[Recording]]) -> Mapping[str, Sequence[Recording]]:
        """The same clips, whose folders are the head's labels, all of them; raises BundleError if they are not."""
        if strange := sorted(set(voices) - set(self.labels)):
            raise BundleError(
                f"VOICES= has a folder {strange[0]}, which is no label of the head: its labels are "
                f"{', '.join(self.labels[:10])}{' …' if len(self.labels) > 10 else ''}; others' recordings are "
                "STRANGERS="
            )
        if lacking := [label for label in self.labels if label not in voices]:
            raise BundleError(
                f"VOICES= has no folder of {len(lacking)} of the head's {len(self.labels)} labels, {lacking[0]} among "
                "them: each needs recordings"
            )
        return voices
