"""The interface of an encoder, waveforms → logits and embeddings, and what all encoders share."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import Tensor

from speaker_id.clip import Waveform
from speaker_id.heads import Source

# samples: 50 ms at 16 kHz, for models that read filter banks: their normalisation needs two frames of 25 ms
DEFAULT_RECEPTIVE_FIELD = 800


class Encoder(Protocol):
    """What the pipeline requires of an encoder.

    Attributes:
        min_samples: fewest samples of a waveform; its receptive field.
        min_embedding_samples: fewest samples of a waveform that has an embedding.
        embedding_width: of an embedding.
        widths: of each head's own.
    """

    min_samples: int
    min_embedding_samples: int
    embedding_width: int
    widths: tuple[int, ...]

    def __call__(self, waveforms: Sequence[Waveform]) -> Tensor:
        """Compute logits of shape (clips, labels), fp32, on the CPU, from waveforms of shape (samples,), float32.

        Those of several heads stand side by side, in the heads' order.
        """
        ...

    def embed(
        self, waveforms: Sequence[Waveform], sources: Sequence[Source] = (None,)
    ) -> tuple[Tensor, Tensor]:
        """Compute, in one pass, the same logits, and embeddings of shape (clips, width), fp32, on the CPU.

        They are the head's own, not normalised: an x-vector where the model has one, else the first head's pooled
        projection. A clip that is too short for an x-vector gets NaN.

        Args:
            sources: whose, which stand side by side: the model's, or a classifier's own pooled projection.
        """
        ...


def exact() -> None:
    """Forbid TF32, to which cuDNN rounds convolutions by default: three digits less than fp32."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def by_source(encoder: Encoder, sources: Sequence[Source], embeddings: Tensor) -> dict[Source, Tensor]:
    """Take apart the embeddings that `embed` gives side by side."""
    widths = [encoder.embedding_width if source is None else encoder.widths[source] for source in sources]
    return dict(zip(sources, torch.split(embeddings, widths, 1), strict=True))


def out_of_memory(exc: BaseException) -> bool:
    """Return whether an encoder failed for lack of memory; on the CPU torch has no class for that."""
    return isinstance(exc, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(exc)


def receptive_field(config: Any) -> int:
    """Return the samples that the convolutional stack needs for its first frame.

    A layer of kernel k widens the field by (k - 1) times the strides before it: 400 samples for wav2vec2's
    kernels (10, 3, 3, 3, 3, 2, 2) and strides (5, 2, 2, 2, 2, 2, 2).
    """
    kernels, strides = getattr(config, "conv_kernel", None), getattr(config, "conv_stride", None)
    if not kernels or not strides:
        return DEFAULT_RECEPTIVE_FIELD
    before = accumulate((1, *strides[:-1]), operator.mul)
    field: int = 1 + sum((kernel - 1) * hop for kernel, hop in zip(kernels, before, strict=True))
    return field


def samples_of(frames: int, config: Any) -> int:
    """Return the fewest samples of which the convolutional stack makes so many frames."""
    strides = getattr(config, "conv_stride", None) or ()
    return receptive_field(config) + (frames - 1) * math.prod(strides)


def warm_up(
    encoder: Encoder, seconds: Sequence[float], sampling_rate: int, sources: Sequence[Source] = ()
) -> None:
    """Encode noise of the given lengths, so that no request is slowed by allocation and kernel set-up.

    Noise rather than silence: a constant waveform divides by a variance of zero in some normalisations.

    Args:
        sources: whose embeddings requests need.
    """
    generator = torch.Generator().manual_seed(0)
    for length in seconds:
        least = encoder.min_embedding_samples if None in sources else encoder.min_samples
        samples = max(least, math.ceil(length * sampling_rate))
        noise = [torch.randn(samples, generator=generator).mul_(0.1).numpy()]
        encoder.embed(noise, sources) if sources else encoder(noise)
