"""WAV that needs no decoder: 16-bit PCM, one channel, at the model's rate, behind a header that leaves nothing to ask.

Most callers send this. Nothing is parsed: the whole header is known from the body's length, so a body either begins
with exactly these bytes, and what follows is its samples, or it is a decoder's to read or to refuse.
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
    """The bytes of the samples; None where a decoder is needed, be it to say what is wrong with the length."""
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
    """What `audio.decode` makes of a recording that has these samples, bit for bit."""
    waveform: Waveform = np.divide(np.frombuffer(samples, "<i2"), FULL_SCALE, dtype=np.float32)
    return waveform
