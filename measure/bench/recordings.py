"""One clip in each of the formats that callers send most, for what decoding costs."""

from __future__ import annotations

import numpy as np

from measure.chaos.recordings import Samples, by_ffmpeg, by_libsndfile

CLIP_SECONDS = 4.0


def recordings() -> dict[str, bytes]:
    """One clip of speech-like noise in each format."""
    rng = np.random.default_rng(0)

    def noise(rate: int, channels: int) -> Samples:
        samples: Samples = (
            (rng.standard_normal((int(CLIP_SECONDS * rate), channels)) * 0.1).astype(np.float32).T
        )
        return samples

    def sound(container: str, codec: str, rate: int, channels: int) -> bytes:
        return by_libsndfile(container, codec, noise(rate, channels), rate)

    return {
        "wav": sound("WAV", "PCM_16", 16000, 1),
        "flac": sound("FLAC", "PCM_16", 16000, 1),
        "opus": sound("OGG", "OPUS", 48000, 1),
        "mp3": sound("MP3", "MPEG_LAYER_III", 44100, 2),
        "m4a": by_ffmpeg("ipod", "aac", noise(44100, 2), 44100),
    }
