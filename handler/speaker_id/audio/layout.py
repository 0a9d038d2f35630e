"""What every reader yields, and the limits that it checks before decoding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from speaker_id.clip import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, max_frames
from speaker_id.errors import AudioTooLong, UnsupportedLayout


class Block(NamedTuple):
    """Consecutive decoded samples of one clip.

    Attributes:
        samples: float32, (channels, frames), full scale at ±1.
        sampling_rate: in Hz.
    """

    samples: npt.NDArray[np.float32]
    sampling_rate: int


def check_layout(sampling_rate: int, channels: int) -> None:
    """Raise UnsupportedLayout unless both the rate and the number of channels are within the limits."""
    if not MIN_SAMPLE_RATE <= sampling_rate <= MAX_SAMPLE_RATE:
        raise UnsupportedLayout(
            f"sampling rate {sampling_rate} Hz; {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are supported"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise UnsupportedLayout(f"{channels} channels; 1 to {MAX_CHANNELS} are supported")


def check_length(frames: float, sampling_rate: int, max_seconds: float) -> None:
    """Raise AudioTooLong if the container declares more frames than `max_seconds` have."""
    if frames > max_frames(sampling_rate, max_seconds):
        raise AudioTooLong(
            f"{frames / sampling_rate:.10g} s of audio; the limit is {max_seconds:g} s: "
            "send a shorter clip, or ask for windows"
        )
