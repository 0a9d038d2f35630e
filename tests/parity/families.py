"""Models of every family that the packed encoder computes, the clips to try them on, and how answers are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from speaker_id.clip import Waveform
from speaker_id.encoder.contract import Encoder
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.encoder.reference import ReferenceEncoder
from torch import Tensor
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)

REFERENCE_BOUND = 1e-4  # from transformers' own answer for the clip alone
COMPANY_BOUND = 2e-5  # from the packed encoder's answer for the clip alone


@dataclass(frozen=True)
class Place:
    """What computes."""

    device: str
    backend: Any


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
PORTABLE, ONEDNN, BATCHED, GPU = (
    Place("cpu", "portable"),
    Place("cpu", "onednn"),
    Place("cpu", "batched"),
    Place("cuda:0", "auto"),
)
ON_GPU = pytest.param(GPU, marks=needs_cuda, id="cuda")
# the batched back end is for GPUs: on a CPU it shows its errors everywhere
PLACES = [
    pytest.param(PORTABLE, id="portable"),
    pytest.param(ONEDNN, id="onednn"),
    pytest.param(BATCHED, id="batched"),
    ON_GPU,
    pytest.param(Place("cuda:0", "batched"), marks=needs_cuda, id="cuda-batched"),
    pytest.param(Place("cuda:0", "portable"), marks=needs_cuda, id="cuda-portable"),
]


def packed(
    model: Any, features: Any, place: Place, precision: Any = "fp32", others: Any = ()
) -> PackedEncoder:
    return PackedEncoder(model, features, place.device, precision, place.backend, others)


SMALL = {
    "conv_dim": (24,) * 7,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 80,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 20,
    "num_labels": 11,
    # ten times transformers' default, which suits widths of 768 and would make attention blind at this one
    "initializer_range": 0.2,
}
FAMILIES = {"wav2vec2": Wav2Vec2Config, "hubert": HubertConfig}
CLASSES = {
    Wav2Vec2Config: Wav2Vec2ForSequenceClassification,
    HubertConfig: HubertForSequenceClassification,
}


def build(family: str, seed: int = 0, **settings: Any) -> Any:
    """A model with seeded random weights in every tensor: biases and norms too, which start as zeros and ones."""
    config = FAMILIES[family](**settings)
    torch.manual_seed(seed)
    return randomised(CLASSES[type(config)](config))


def randomised(model: Any) -> Any:
    """The model in eval mode, its biases, norms and layer weights changed by the seeded generator."""
    model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 or name == "layer_weights":
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def small(family: str, seed: int = 0, **settings: Any) -> Any:
    return build(family, seed, **{**SMALL, **settings})


def extractor(do_normalize: bool) -> Any:
    return Wav2Vec2FeatureExtractor(do_normalize=do_normalize, return_attention_mask=True)


def reference(model: Any, feature_extractor: Any, waveforms: list[Waveform]) -> Tensor:
    """transformers' logits of each clip alone, (clips, labels)."""
    return ReferenceEncoder(model, feature_extractor, "cpu")(waveforms)


def alone(encoder: Encoder, waveforms: list[Waveform]) -> Tensor:
    return torch.cat([encoder([waveform]) for waveform in waveforms])


def distance(logits: Tensor, expected: Tensor) -> float:
    """The worst clip's largest difference, relative to the spread of that clip's own logits.

    The spread (their standard deviation) is what ranks labels, and is never larger than the largest logit.
    """
    return float(((logits - expected).abs().amax(1) / expected.std(1)).max())


def clip(samples: int, seed: int = 0) -> Waveform:
    """Coloured noise with a tone, an offset and a loudness, all by the seed; a clip in four starts in silence."""
    generator = np.random.default_rng((samples, seed))
    time = np.arange(samples) / 16000
    wave = np.convolve(generator.standard_normal(samples), [0.5, 0.3, 0.2], "same")
    wave += np.sin(2 * np.pi * generator.uniform(80, 3000) * time)
    wave *= 10 ** generator.uniform(-3, -0.5)
    wave += generator.uniform(-0.02, 0.02)
    if seed % 4 == 3:
        wave[: samples // 3] = 0.0
    return wave.astype(np.float32)


def compositions(longest: int, most: int = 16) -> st.SearchStrategy[list[Waveform]]:
    """Batches of 1 to `most` clips: lengths from 400 samples to `longest`, few of them long; any order; duplicates."""
    lengths = st.one_of(
        st.integers(400, 1500), st.integers(400, 48_000), st.sampled_from([400, 719, 720, longest])
    )
    clips = st.builds(clip, lengths, st.integers(0, 7))
    return (
        st.lists(clips, min_size=1, max_size=most)
        .flatmap(lambda batch: st.permutations(batch + batch[: len(batch) // 4]))
        .map(lambda batch: batch[:most])
    )
