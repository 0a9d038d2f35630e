"""A converted checkpoint → the embedding of a clip, as the reference encoder computes it: the clip alone, in fp32.

An x-vector where the model has one, else the pooled projection in front of the classifier, as the server has it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from speaker_id import checkpoint
from speaker_id.clip import Waveform
from speaker_id.encoder.reference import ReferenceEncoder
from speaker_id.gallery import maker


class Embedder:
    """The embedding of one checkpoint folder, which is verified first.

    Raises:
        CheckpointError: the folder is not what its manifest says.
    """

    def __init__(self, folder: Path) -> None:
        loaded = checkpoint.load(folder)
        self.maker = maker(loaded)
        self._encoder = ReferenceEncoder(loaded.model, loaded.feature_extractor, "cpu", loaded.others)
        self.sampling_rate = loaded.sampling_rate

    def __call__(self, waveform: Waveform) -> NDArray[np.float64]:
        """(samples,) at `sampling_rate` → (dim,), of unit length."""
        _, embeddings = self._encoder.embed([waveform])
        vector = embeddings[0].numpy().astype(np.float64)
        return np.asarray(vector / np.linalg.norm(vector))
