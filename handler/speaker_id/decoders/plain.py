"""WAV that needs no decoder: 16-bit PCM, one channel, at the model's rate, after the standard header of 44 bytes.

Most callers send this. Nothing is parsed: the body's length determines the whole header, so either a body begins with
exactly these bytes, and the rest is samples, or a decoder reads or rejects it.
"""

from __future__ import annotations

import struct

import numpy as np

from speaker_id.clip import Clip, EncodedAudio, Waveform, max_frames

# RIFF, size of the rest, WAVE; fmt, its size, tag, channels, rate, bytes a second, bytes a frame, bits; data, its size
HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
RIFF = b"RIFF"
PCM, MONO, BYTES, BITS = 1, 1, 2, 16
FULL_SCALE = np.float32(1 << (BITS - 1))


def samples_of(clip: Clip, *, sampling_rate: int, max_seconds: float, min_samples: int) -> memoryview | None:
    """Return the bytes of the samples; None where a decoder is needed, even if only to report a wrong length."""
    if not isinstance(clip, EncodedAudio) or clip.data[:4] != RIFF:
        return None
    body = memoryview(clip.data)
    size = len(body) - HEADER.size
    if size % BYTES or not min_samples <= size // BYTES <= max_frames(sampling_rate, max_seconds):
        return None
    riff = (RIFF, len(body) - 8, b"WAVE")
    form = (b"fmt ", 16, PCM, MONO, sampling_rate, BYTES * sampling_rate, BYTES, BITS)
    header = HEADER.pack(*riff, *form, b"data", size)
    return body[HEADER.size :] if body[: HEADER.size] == header else None


def decode(samples: memoryview) -> Waveform:
    """Convert samples exactly, bit for bit, as `audio.decode` does."""
    waveform: Waveform = np.divide(np.frombuffer(samples, "<i2"), FULL_SCALE, dtype=np.float32)
    return waveform
