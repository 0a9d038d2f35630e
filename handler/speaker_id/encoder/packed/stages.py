"""The parts of the encoder that work along time: clip by clip, as processors do it best, or batched (`batched`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speaker_id.clip import Waveform
from speaker_id.encoder.packed.convolution import ConvolutionStack
from speaker_id.encoder.packed.pooling import Sums
from speaker_id.encoder.packed.positional import PositionalEmbedding
from speaker_id.encoder.packed.spans import Spans, spans
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.transformer import TransformerLayer
from speaker_id.preparation import Preparation


class Prepare:
    """Waveforms → what the convolutions take, on the device, and each clip's rows.

    Args:
        feature_extractor: the checkpoint's own; it normalises if the checkpoint says so.
        convolutions: what follows.
        device: of the encoder.
    """

    def __init__(self, feature_extractor: Any, convolutions: ConvolutionStack, device: torch.device) -> None:
        self.feature_extractor, self.convolutions, self.device = feature_extractor, convolutions, device

    def __call__(self, waveforms: Sequence[Waveform]) -> tuple[Any, Spans]:
        clips = [normalised(self.feature_extractor, each).to(self.device) for each in waveforms]
        return clips, spans(self.convolutions.frames(len(clip)) for clip in clips)


def normalised(feature_extractor: Any, waveform: Waveform) -> Tensor:
    """Normalise a clip as the checkpoint's feature extractor does: (samples,) fp32."""
    if preparation := Preparation.of(feature_extractor):
        return preparation(waveform)
    with np.errstate(all="ignore"):  # the pipeline rejects NaN in the logits; no warning here
        values: Tensor = feature_extractor(
            waveform, sampling_rate=feature_extractor.sampling_rate, return_tensors="pt"
        ).input_values[0]
    return values.float()


@dataclass(frozen=True)
class Stages:
    """A set of parts that fit together."""

    prepare: type[Prepare]
    convolutions: type[ConvolutionStack]
    positional: type[PositionalEmbedding]
    layer: type[TransformerLayer]
    sums: type[Sums]
    team: type[Team]


CLIPWISE = Stages(Prepare, ConvolutionStack, PositionalEmbedding, TransformerLayer, Sums, Team)
