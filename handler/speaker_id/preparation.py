"""Waveforms as the checkpoint's feature extractor prepares them, for the one that computes nothing else.

Source: transformers 5.23, `Wav2Vec2FeatureExtractor`, whose checks and conversions cost more than what it computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from speaker_id.clip import Waveform

EXTRACTOR: Final = "Wav2Vec2FeatureExtractor"
EPSILON = 1e-7  # of the variance


@dataclass(frozen=True)
class Preparation:
    """A clip alone, unpadded.

    Attributes:
        sampling_rate: in Hz.
        do_normalize: to zero mean and unit variance; names are those of the feature extractor.
    """

    sampling_rate: int
    do_normalize: bool

    @classmethod
    def of(cls, feature_extractor: Any) -> Preparation | None:
        """Return what a feature extractor does; None for one that does more."""
        if isinstance(feature_extractor, Preparation):
            return feature_extractor
        if type(feature_extractor).__name__ != EXTRACTOR:
            return None
        return cls(feature_extractor.sampling_rate, feature_extractor.do_normalize)

    def __call__(self, waveform: Waveform) -> Tensor:
        """Prepare a waveform, (samples,) fp32, bit for bit as transformers does."""
        if not self.do_normalize:
            return torch.tensor(waveform)
        with np.errstate(all="ignore"):  # the pipeline rejects NaN in the logits; no warning here
            return torch.from_numpy((waveform - waveform.mean()) / np.sqrt(waveform.var() + EPSILON))
