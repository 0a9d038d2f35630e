"""Random changes of channel and room that leave the voice as it is.

Every function takes and gives float32 [batch, samples] at 16 kHz and draws a clip's settings from ``rng``
(a seeded CPU generator). The ranges are by ear: the worst of each is still plainly the same person.
"""

import torch
from torch import Tensor

from training import SAMPLE_RATE

NYQUIST = SAMPLE_RATE / 2
EQ_KNOTS_HZ = (20.0, 120.0, 300.0, 700.0, 1500.0, 2800.0, 4500.0, NYQUIST)
RIR_SAMPLES = SAMPLE_RATE // 4
DECAY_60_DB = 6.9  # ln(1000): exp(-6.9) is 60 dB down, the definition of reverberation time
FILTER_TAIL = 4096  # samples; room for a filter's response, or its end would wrap around to the start


def augment(waveforms: Tensor, rng: torch.Generator) -> Tensor:
    """All of it, in the order a recording meets it: microphone, room, noise, overload, trimming."""
    waveforms = filter_channel(waveforms, rng)
    waveforms = reverberate(waveforms, rng)
    waveforms = add_noise(waveforms, rng)
    waveforms = clip_peaks(waveforms, rng)
    return silence_an_end(waveforms, rng)


def filter_channel(waveforms: Tensor, rng: torch.Generator) -> Tensor:
    """A microphone and a line: ±4 dB (one sigma) over eight bands, sometimes a high or low pass."""
    batch, length = waveforms.shape
    hz = torch.linspace(0, NYQUIST, (length + FILTER_TAIL) // 2 + 1)
    gains_db = 4 * torch.randn(batch, len(EQ_KNOTS_HZ), generator=rng) * _chance(batch, 0.7, rng)
    response = 10 ** (_interpolate(gains_db, hz) / 20)
    low_cut = torch.where(_chance(batch, 0.35, rng), 350 * _uniform(batch, rng), -1000.0)
    high_cut = torch.where(_chance(batch, 0.35, rng), 2800 + 5200 * _uniform(batch, rng), 100_000.0)
    response = response * torch.sigmoid((hz - low_cut) / 25) * torch.sigmoid((high_cut - hz) / 80)
    return _convolve(waveforms, response)


def reverberate(waveforms: Tensor, rng: torch.Generator) -> Tensor:
    """One clip in four in a room: exponentially decaying noise after the direct sound, 30–280 ms."""
    batch = len(waveforms)
    seconds = 0.03 + 0.25 * _uniform(batch, rng)
    decay = torch.exp(-DECAY_60_DB * torch.arange(RIR_SAMPLES) / SAMPLE_RATE / seconds)
    level = 0.12 * _uniform(batch, rng) * _chance(batch, 0.25, rng)
    response = torch.randn(batch, RIR_SAMPLES, generator=rng) * decay * level
    response[:, 0] = 1
    return _convolve(waveforms, torch.fft.rfft(response, waveforms.shape[1] // 2 * 2 + FILTER_TAIL))


def add_noise(waveforms: Tensor, rng: torch.Generator) -> Tensor:
    """Noise between white and brown, 10–30 dB below half of the clips and 30–65 dB below the others."""
    batch, length = waveforms.shape
    spectrum = torch.fft.rfft(torch.randn(batch, length, generator=rng))
    share_of_nyquist = torch.linspace(0, 1, spectrum.shape[1]).clamp(min=0.003)
    colour = share_of_nyquist ** (-1.2 * _uniform(batch, rng))
    narrow = torch.where(_chance(batch, 0.4, rng), torch.sigmoid((0.48 - share_of_nyquist) * 60), 1.0)
    noise = torch.fft.irfft(spectrum * colour * narrow, length)
    snr_db = torch.where(
        _chance(batch, 0.5, rng), 10 + 20 * _uniform(batch, rng), 30 + 35 * _uniform(batch, rng)
    )
    noisy: Tensor = waveforms + noise / _rms(noise) * _rms(waveforms) * 10 ** (-snr_db / 20)
    return noisy


def clip_peaks(waveforms: Tensor, rng: torch.Generator) -> Tensor:
    """One clip in ten overloads at 1.5–3.5 times its RMS."""
    batch = len(waveforms)
    ceiling = _rms(waveforms) * (1.5 + 2 * _uniform(batch, rng))
    ceiling = torch.where(_chance(batch, 0.1, rng), ceiling, torch.inf)
    return torch.maximum(torch.minimum(waveforms, ceiling), -ceiling)


def silence_an_end(waveforms: Tensor, rng: torch.Generator) -> Tensor:
    """One clip in four starts late or ends early: up to 30 % digital silence at one end."""
    batch, length = waveforms.shape
    position = torch.arange(length) / length
    share = 0.3 * _uniform(batch, rng) * _chance(batch, 0.25, rng)
    at_start = _chance(batch, 0.5, rng)
    silent = torch.where(at_start, position < share, position >= 1 - share)
    return waveforms.masked_fill(silent, 0.0)


def _uniform(batch: int, rng: torch.Generator) -> Tensor:
    return torch.rand(batch, 1, generator=rng)


def _chance(batch: int, probability: float, rng: torch.Generator) -> Tensor:
    """bool [batch, 1], true with ``probability``."""
    return _uniform(batch, rng) < probability


def _rms(waveforms: Tensor) -> Tensor:
    return waveforms.square().mean(dim=1, keepdim=True).sqrt() + 1e-5


def _interpolate(gains_db: Tensor, hz: Tensor) -> Tensor:
    """[batch, knots] at ``EQ_KNOTS_HZ`` → [batch, len(hz)], linear in log frequency."""
    knots = torch.tensor(EQ_KNOTS_HZ).log()
    log_hz = hz.clamp(min=EQ_KNOTS_HZ[0] + 1).log()
    upper = torch.searchsorted(knots, log_hz).clamp(1, len(knots) - 1)
    weight = (log_hz - knots[upper - 1]) / (knots[upper] - knots[upper - 1])
    return gains_db[:, upper - 1] * (1 - weight) + gains_db[:, upper] * weight


def _convolve(waveforms: Tensor, response: Tensor) -> Tensor:
    """Filters by a one-sided frequency response [batch, bins], real or complex; the length is kept."""
    length = 2 * (response.shape[1] - 1)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveforms, length) * response, length)
    return filtered[:, : waveforms.shape[1]]
