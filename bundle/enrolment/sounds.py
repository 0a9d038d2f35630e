"""Sounds without a voice, for a gallery to know as such: silence, noise, tones, hum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from speaker_id.clip import Waveform

SECONDS = 3.0
HZ = (80, 125, 180, 260, 380, 550, 800, 1200, 1700, 2500, 3400)
HUM_HZ = (50, 60, 100, 120)
NOISE_LEVELS = (0.003, 0.03, 0.2)
COLOURS = (
    0.0,
    0.5,
    1.0,
)  # of noise: white, pink, brown, as the power of 1 / frequency that its amplitude falls by
SEED = 7


def sounds(rate: int) -> Iterator[Waveform]:
    """float32, at ``rate`` Hz."""
    time = np.arange(int(SECONDS * rate)) / rate
    rng = np.random.default_rng(SEED)
    yield np.zeros(len(time), np.float32)
    for hz in HZ:
        yield (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)
    for hz in HUM_HZ:
        harmonics = (np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 9))
        yield (0.1 * sum(harmonics, np.zeros(len(time)))).astype(np.float32)
    for colour in COLOURS:
        for level in NOISE_LEVELS:
            spectrum = np.fft.rfft(rng.standard_normal(len(time)))
            spectrum *= np.maximum(np.arange(len(spectrum)), 10) ** -colour
            noise = np.fft.irfft(spectrum, len(time))
            yield (level * noise / noise.std()).astype(np.float32)
