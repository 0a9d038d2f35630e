"""Waveforms → logits, any mix of clips in one pass without padding: Hugging Face's logits of each clip alone.

Clips are concatenated over time. Operations along time (convolutions, the first norm, attention, pooling) run within
one clip; operations on single frames (every linear map and layer norm) run over all clips together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speaker_id.clip import Waveform
from speaker_id.encoder.contract import receptive_field
from speaker_id.encoder.packed import weights
from speaker_id.encoder.packed.convolution import ConvolutionStack
from speaker_id.encoder.packed.head import Head, Pool
from speaker_id.encoder.packed.positional import PositionalEmbedding
from speaker_id.encoder.packed.probe import Backend, Precision, choose
from speaker_id.encoder.packed.spans import Spans, spans
from speaker_id.encoder.packed.support import supports
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.transformer import Projection, RowNorm, TransformerLayer


class PackedEncoder:
    """Wav2Vec2 and HuBERT sequence classifiers over packed clips.

    Args:
        model: one that `supports()` accepts, in fp32. No reference to it is kept.
        feature_extractor: the checkpoint's own; it normalises if the checkpoint says so.
        device: "cpu" or "cuda:N".
        precision: of everything but the head, which is always fp32.
        backend: "onednn" (CPUs), "portable", or "auto", the fastest that the device supports.

    Raises:
        ValueError: the model is of another architecture, or the device cannot compute as asked.
    """

    def __init__(
        self,
        model: Any,
        feature_extractor: Any,
        device: str,
        precision: Precision = "fp32",
        backend: Backend = "auto",
    ) -> None:
        if reason := supports(model):
            raise ValueError(f"the packed encoder cannot compute this model: {reason}")
        operators = choose(backend, precision, torch.device(device))
        self.operators, self.feature_extractor = operators, feature_extractor
        self.min_samples = receptive_field(model.config)
        self.convolutions = ConvolutionStack(weights.convolutions(model), operators)
        self.projection = Projection(weights.features_norm(model), weights.projection(model), operators)
        self.positional = PositionalEmbedding(weights.positional(model), operators.device)
        self.norm = RowNorm(weights.encoder_norm(model), operators)
        self.pre_norm = bool(model.config.do_stable_layer_norm)
        heads = model.config.num_attention_heads
        self.layers = [
            TransformerLayer(layer, heads, self.pre_norm, operators) for layer in weights.layers(model)
        ]
        self.shares = weights.shares(model)
        self.norms_last_state = weights.norms_last_state(model)
        self.head = Head(weights.head(model), operators.device)
        threads = torch.get_num_threads() if operators.device.type == "cpu" else 1
        self.team = Team(threads, operators.chunk, operators.step)

    @torch.inference_mode()
    def __call__(self, waveforms: Sequence[Waveform]) -> Tensor:
        clips = [self.normalise(waveform) for waveform in waveforms]
        rows = spans(self.convolutions.frames(len(clip)) for clip in clips)
        if rows[-1].stop == 1:
            # the libraries multiply a single row with other code, which rounds differently: add a second
            return self([*waveforms, *waveforms])[:1]
        with self.team.in_charge():
            return self.logits(clips, rows, self.team).cpu()

    def logits(self, clips: Sequence[Tensor], rows: Spans, team: Team) -> Tensor:
        """Compute (clips, labels), fp32, on the device, from normalised waveforms and their rows."""
        hidden = self.projection(self.convolutions(clips, rows, team), team)
        hidden = self.positional(hidden, rows, team)
        if not self.pre_norm:
            hidden = self.norm(hidden, team)
        pool = Pool(rows, hidden.shape[1], hidden.device)
        pool.add(hidden, self.shares[0], team)
        for layer, share in zip(self.layers, self.shares[1:], strict=True):
            hidden = layer(hidden, rows, team)
            if layer is self.layers[-1] and self.norms_last_state:
                hidden = self.norm(hidden, team)
            pool.add(hidden, share, team)
        return self.head(pool.total)

    def describe(self) -> str:
        """Return back end, precision, device and threads, for a log line."""
        kind = "fp32" if self.operators.dtype == torch.float32 else "bf16"
        threads = f"{self.team.threads} thread{'s' * (self.team.threads > 1)}"
        return f"packed encoder: {self.operators.name} back end, {kind}, {self.operators.device}, {threads}"

    def normalise(self, waveform: Waveform) -> Tensor:
        """Normalise a clip as the checkpoint's feature extractor does: (samples,) fp32, on the device."""
        with np.errstate(all="ignore"):  # the pipeline rejects NaN in the logits; no warning here
            values = self.feature_extractor(
                waveform, sampling_rate=self.feature_extractor.sampling_rate, return_tensors="pt"
            ).input_values[0]
        prepared: Tensor = values.to(self.operators.device, torch.float32)
        return prepared
