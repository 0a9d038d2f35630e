"""One clip: as a caller sent it, and decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAMPLING_RATE = 16_000  # Hz, the usual one of these families; a checkpoint's own is in its files
MIN_SAMPLE_RATE = 4_000  # Hz; below it no speech band is left
MAX_SAMPLE_RATE = 192_000  # Hz; the highest rate that recorders write
MAX_CHANNELS = 8  # 7.1 surround
# Of a sample, full scale at ±1. Unscaled 32-bit integers pass; from 1e16 on the squares of a clip's samples overflow in
# float32 when they are normalised, and the answer is finite but that to silence.
MAX_LEVEL = 1e12

Waveform = npt.NDArray[np.float32]  # (samples,), mono, at the checkpoint's sampling rate


@dataclass(frozen=True)
class EncodedAudio:
    """The bytes of an audio file or stream, in whatever container and codec."""

    data: bytes | bytearray | memoryview


@dataclass(frozen=True)
class RawAudio:
    """Samples that need no decoding.

    Attributes:
        samples: float32, (samples,) or (channels, samples), full scale at ±1.
        sampling_rate: in Hz.
    """

    samples: npt.NDArray[np.float32]
    sampling_rate: int


@dataclass(frozen=True)
class Decoded:
    """One decoded clip.

    Attributes:
        waveform: float32, (samples,), contiguous, finite; mono, the mean of the channels.
        skipped_frames: damaged frames of the codec that the waveform lacks.
        cpu_seconds: that its decoder process used.
    """

    waveform: Waveform
    skipped_frames: int = 0
    cpu_seconds: float = 0.0


Clip = EncodedAudio | RawAudio


def max_frames(sampling_rate: int, max_seconds: float) -> int:
    """Return the most frames that a clip may have, at its own rate."""
    # 0.57 s at 44.1 kHz is 25137 frames, not 25136.999…
    return math.floor(max_seconds * sampling_rate + 1e-6)
