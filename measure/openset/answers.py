"""A checkpoint → what they say of clips of one length: the named voices' logits, and embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from speaker_id import checkpoint, heads

from measure import MeasureError
from training import SAMPLE_RATE
from training.voices import LABELS

BATCH = 8  # clips of one length, so nothing is padded and each gets what it gets alone


@dataclass(frozen=True)
class Answers:
    """Of clips, in order.

    Attributes:
        logits: (clips, labels) of the classifier.
        pooled: (clips, width): the classifier's embedding.
        vectors: (clips, dim), of unit length: the voice head's embedding.
    """

    logits: torch.Tensor
    pooled: torch.Tensor
    vectors: NDArray[np.float64]


class Models:
    """The classifier of the six named voices, and the model of the embedding, which may be one.

    Args:
        folder: a converted checkpoint, of one head or of several.

    Raises:
        MeasureError: none of its heads knows the six.
    """

    def __init__(self, folder: Path) -> None:
        loaded = checkpoint.load(folder)
        models = (loaded.model, *loaded.others)
        named = [model for model in models if set(model.config.label2id) == set(LABELS)]
        if not named:
            raise MeasureError(f"{loaded.manifest.name} has no head of the voices {', '.join(LABELS)}")
        self._speaker, self._voice = named[0], models[heads.of_embedding(models)]
        self._extract = loaded.feature_extractor

    @torch.inference_mode()
    def __call__(self, waveforms: NDArray[np.float32]) -> Answers:
        """(clips, samples) → their answers."""
        logits, pooled, vectors = [], [], []
        for start in track(range(0, len(waveforms), BATCH), "answering", transient=True):
            batch = list(waveforms[start : start + BATCH])
            inputs = self._extract(batch, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values
            each, embedding = _classified(self._speaker, inputs)
            logits.append(each)
            pooled.append(embedding)
            vectors.append(
                self._voice(inputs).embeddings
                if heads.is_xvector(self._voice)
                else _classified(self._voice, inputs)[1]
            )
        found = torch.cat(vectors).double()
        return Answers(
            torch.cat(logits), torch.cat(pooled), np.asarray(torch.nn.functional.normalize(found, dim=1))
        )


def _classified(model: Any, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    kept: list[torch.Tensor] = []
    hook = model.projector.register_forward_hook(lambda *args: kept.append(args[2]))
    logits = model(inputs).logits
    hook.remove()
    return logits, kept[0].mean(1)
