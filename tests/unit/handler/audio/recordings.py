"""Test audio, made on the spot: what measure.chaos.recordings makes, and what only the tests of decoding need."""

from __future__ import annotations

import io

import av
import numpy as np
from speaker_id.audio import decode
from speaker_id.clip import EncodedAudio, Waveform

from measure.chaos.recordings import FORMATS, Samples, by_ffmpeg, by_libsndfile, recording, tones

__all__ = [
    "FORMATS",
    "Samples",
    "by_ffmpeg",
    "by_libsndfile",
    "film",
    "hear",
    "patched",
    "recording",
    "tones",
]


def film(sound: Samples | None) -> bytes:
    """An MP4 of ten black pictures, with or without a mono track of 44.1 kHz."""
    body = io.BytesIO()
    with av.open(body, "w", format="mp4") as writer:
        video = writer.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = writer.add_stream("aac", rate=44_100, layout="mono") if sound is not None else None
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for index in range(10):
            picture.pts = index
            writer.mux(video.encode(picture))
        writer.mux(video.encode(None))
        if audio is not None and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, 0
            writer.mux(audio.encode(frame))
            writer.mux(audio.encode(None))
    return body.getvalue()


def hear(
    data: bytes, *, sampling_rate: int = 16_000, max_seconds: float = 120.0, min_samples: int = 400
) -> Waveform:
    return decode(
        EncodedAudio(data), sampling_rate=sampling_rate, max_seconds=max_seconds, min_samples=min_samples
    ).waveform


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]
