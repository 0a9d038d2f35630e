"""Augmentation is seeded, keeps the shape, and leaves a normalised waveform."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from training import SAMPLE_RATE, augment
from training.batches import normalise
from training.codecs import gsm, mp3, mu_law, opus, telephone, vorbis
from training.evaluate import middle
from training.waveform import Waveform, to_float, to_pcm

STAGES = [
    augment.filter_channel,
    augment.reverberate,
    augment.add_noise,
    augment.clip_peaks,
    augment.silence_an_end,
    augment.augment,
]
CODECS = {
    "telephone": telephone,
    "µ-law": mu_law,
    "GSM": gsm,
    "MP3": lambda waveform: mp3(waveform, 32_000),
    "Opus": lambda waveform: opus(waveform, 16_000),
    "Vorbis": lambda waveform: vorbis(waveform, 0.3),
}


@pytest.fixture
def waveforms() -> Tensor:
    return torch.randn(16, 8_001, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_stage_repeats_itself_and_changes_some_clips(
    stage: Callable[[Tensor, torch.Generator], Tensor], waveforms: Tensor
) -> None:
    one, again = (stage(waveforms, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, again)
    assert one.shape == waveforms.shape
    assert one.isfinite().all()
    assert not torch.allclose(one, waveforms, atol=1e-3)


def test_the_noise_is_within_its_range(waveforms: Tensor) -> None:
    noise = augment.add_noise(waveforms, torch.Generator().manual_seed(0)) - waveforms
    snr_db = 10 * torch.log10(waveforms.square().mean(1) / noise.square().mean(1))
    assert snr_db.min() > 9.9
    assert snr_db.max() < 65.1


def test_normalised_means_zero_mean_and_unit_variance(waveforms: Tensor) -> None:
    normal = normalise(5 * waveforms + 2)
    assert normal.mean(1).abs().max() < 1e-5
    assert normal.square().mean(1).sub(1).abs().max() < 1e-4


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
def test_a_codec_keeps_the_length_and_the_sound(codec: Callable[[Waveform], Waveform]) -> None:
    time = np.arange(SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE
    tone = (0.3 * np.sin(2 * np.pi * 500 * time)).astype(np.float32)
    coded = codec(tone)
    assert coded.shape == tone.shape
    assert coded.dtype == np.float32
    assert np.corrcoef(coded[2000:-2000], tone[2000:-2000])[0, 1] > 0.95


def test_pcm_survives_the_way_through_float() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_pcm(to_float(every)), every)


def test_the_middle_is_two_seconds_or_the_whole_clip() -> None:
    ramp = np.arange(6 * SAMPLE_RATE, dtype=np.float32)
    assert (middle(ramp)[0], len(middle(ramp))) == (2 * SAMPLE_RATE, 2 * SAMPLE_RATE)
    assert len(middle(ramp[:100])) == 100
