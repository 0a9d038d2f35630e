"""Sounds without a voice, for a gallery to know as such: silence, noise, tones, hum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from speaker_id.clip import Waveform

SECONDS = 3.0
# closest where voices have pitch and first formant: between two tones farther apart one may resemble a voice
PITCH_HZ = (80, 107, 160, 180, 200, 224, 250, 275, 300, 325, 355)
FORMANT_HZ = (400, 450, 500, 560, 630, 710, 800, 920)
HIGHER_HZ = (1500, 2200, 3000, 3700)
HZ = (*PITCH_HZ, *FORMANT_HZ, *HIGHER_HZ)
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
        spectrum = np.fft.rfft(rng.standard_normal(len(time)))
        spectrum *= np.maximum(np.arange(len(spectrum)), 10) ** -colour
        noise = np.fft.irfft(spectrum, len(time))
        for level in NOISE_LEVELS:
            yield (level * noise / noise.std()).astype(np.float32)
