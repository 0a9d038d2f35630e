"""The reference encoder: Hugging Face's model on one clip at a time, never padded.

Padding changes this model's answers (its first GroupNorm averages over time, padding included) and the published
accuracy was measured with batches of one, so a faster encoder must give the answers of this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from speaker_id.clip import Waveform
from speaker_id.encoder.contract import receptive_field


class ReferenceEncoder:
    """Hugging Face's model unchanged: one clip, unpadded, `attention_mask=None`.

    Args:
        model: any audio classifier of transformers, in eval mode.
        feature_extractor: the checkpoint's own; it normalises if the checkpoint says so.
        device: "cpu" or "cuda:N".
    """

    def __init__(self, model: Any, feature_extractor: Any, device: str) -> None:
        # by default cuDNN rounds convolutions to TF32, three digits less than fp32
        torch.backends.cudnn.allow_tf32 = False
        self.model = model.to(device).eval()
        self.feature_extractor = feature_extractor
        self.device = device
        self.min_samples = receptive_field(model.config)

    @torch.inference_mode()
    def __call__(self, waveforms: Sequence[Waveform]) -> Tensor:
        return torch.cat([self.logits(waveform) for waveform in waveforms])

    def logits(self, waveform: Waveform) -> Tensor:
        """Compute logits of shape (1, labels), fp32, on the CPU, from a waveform of shape (samples,)."""
        features = self.feature_extractor(
            waveform, sampling_rate=self.feature_extractor.sampling_rate, return_tensors="pt"
        )
        features.pop("attention_mask", None)  # all ones for a clip alone
        features = {name: value.to(self.device) for name, value in features.items()}
        logits: Tensor = self.model(**features).logits
        return logits.to(dtype=torch.float32, device="cpu")
