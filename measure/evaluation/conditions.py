"""A clip → the bytes to send: as recorded, or degraded as telephones, codecs and noise do."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from measure import workload
from measure.evaluation.corpus import LabelledClip
from measure.workload import decoded
from training import SAMPLE_RATE
from training.codecs import mp3, opus, telephone
from training.waveform import Waveform, to_pcm

CLEAN = "as recorded"

Change = Callable[[Waveform, np.random.Generator], Waveform]


def noisy(ratio_db: float) -> Change:
    """White noise, `ratio_db` below the clip's own mean power."""

    def change(waveform: Waveform, rng: np.random.Generator) -> Waveform:
        power = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) * 10 ** (-ratio_db / 20)
        noise = power * rng.standard_normal(len(waveform))
        return (waveform + noise).astype(np.float32)

    return change


def louder(gain_db: float) -> Change:
    """Amplified; what exceeds full scale is clipped when it is written, as by a recorder."""
    return lambda waveform, _: (waveform * 10 ** (gain_db / 20)).astype(np.float32)


def late(seconds: float) -> Change:
    """Digital silence first."""
    return lambda waveform, _: np.pad(waveform, (round(seconds * SAMPLE_RATE), 0))


def first(seconds: float) -> Change:
    """The beginning; a shorter clip stays as it is."""
    return lambda waveform, _: waveform[: round(seconds * SAMPLE_RATE)]


CONDITIONS: dict[str, Change] = {
    "8 kHz and back": lambda waveform, _: telephone(waveform),
    "MP3, 32 kbit/s": lambda waveform, _: mp3(waveform, 32_000),
    "Opus, 16 kbit/s": lambda waveform, _: opus(waveform, 16_000),
    "noise, 20 dB below": noisy(20),
    "noise, 10 dB below": noisy(10),
    "20 dB louder, clipped": louder(20),
    "20 dB quieter": louder(-20),
    "1 s of silence first": late(1),
    "first 5 s": first(5),
    "first 3 s": first(3),
    "first 2 s": first(2),
    "first 1 s": first(1),
}


def recording(clip: LabelledClip, condition: str) -> bytes:
    """The clip's own bytes, or under a condition a 16 kHz, 16 bit WAV; equal calls give equal bytes.

    Raises:
        OSError: the file cannot be read.
        RequestError: the clip does not decode, which a condition needs.
    """
    content = clip.path.read_bytes()
    if condition == CLEAN:
        return content
    rng = np.random.default_rng(zlib.crc32(f"{condition} {clip.name}".encode()))
    return wav(CONDITIONS[condition](decoded(content, SAMPLE_RATE), rng))


def wav(waveform: Waveform) -> bytes:
    return workload.wav(to_pcm(waveform))
