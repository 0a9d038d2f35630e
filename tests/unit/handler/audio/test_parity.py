"""Every format that librosa reads gives the samples that librosa gives, length included."""

from __future__ import annotations

import io

import librosa
import numpy as np
import pytest
import soxr
from speaker_id.audio.waveform import downmix

from tests.unit.handler.audio.recordings import FORMATS, by_ffmpeg, by_libsndfile, hear, recording, tones

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000)
NOT_BY_LIBROSA = ("WAV G.722", "WAV MP3", "WAV GSM610", "FLAC from a pipe", "Ogg FLAC")
NATIVE = [
    name
    for name in FORMATS
    if name.startswith(("WAV", "RF", "AI", "FLAC", "Ogg", "MP3")) and name not in NOT_BY_LIBROSA
]


def assert_as_librosa(data: bytes) -> None:
    expected, _ = librosa.load(io.BytesIO(data), sr=16_000, mono=True)
    heard = hear(data)
    assert heard.shape == expected.shape
    assert heard.dtype == np.float32
    assert heard.flags.c_contiguous
    np.testing.assert_allclose(heard, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", NATIVE)
def test_each_native_format_decodes_as_librosa_does(name: str) -> None:
    assert_as_librosa(recording(name, seconds=1.37))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("AIFF", "PCM_16")]
)
def test_each_rate_and_channel_count_decodes_as_librosa_does(
    container: str, subtype: str, channels: int, rate: int
) -> None:
    assert_as_librosa(by_libsndfile(container, subtype, tones(0.31, rate, channels), rate))


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("muxer", [{}, {"write_xing": "0"}, {"write_id3v1": "1"}, {"id3v2_version": "0"}])
def test_mp3_through_ffmpeg_equals_librosas_mpg123(rate: int, channels: int, muxer: dict[str, str]) -> None:
    assert_as_librosa(by_ffmpeg("mp3", "libmp3lame", tones(0.83, rate, channels), rate, muxer=muxer))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_vorbis_at_each_rate_decodes_as_librosa_does(rate: int) -> None:
    assert_as_librosa(by_libsndfile("OGG", "VORBIS", tones(0.7, rate, 2), rate))


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
def test_opus_at_each_rate_decodes_as_librosa_does(rate: int) -> None:
    assert_as_librosa(by_libsndfile("OGG", "OPUS", tones(0.7, rate, 1), rate))


@pytest.mark.parametrize("samples", [1103, 1104, 2205, 4410, 4411, 44_101, 70_001])
def test_length_is_librosas_rounding_of_the_ratio(samples: int) -> None:
    assert_as_librosa(by_libsndfile("WAV", "PCM_16", tones(samples / 44_100, 44_100), 44_100))


def test_a_clip_of_several_blocks_equals_one_call_on_the_whole_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = tones(3.3, 44_100, 2)
    monkeypatch.setattr("speaker_id.audio.sndfile.BLOCK_VALUES", 2 * 4097)
    heard = hear(by_libsndfile("FLAC", "PCM_24", samples, 44_100))
    whole = soxr.resample(samples.mean(axis=0), 44_100, 16_000, quality="HQ")
    np.testing.assert_allclose(heard, whole, rtol=0, atol=1e-6)


def test_downmix_is_the_mean_of_the_channels() -> None:
    channels = np.array([[0.5, -1.0, 0.0], [0.25, 1.0, 0.75], [0.0, 0.0, 0.75]], np.float32)
    np.testing.assert_allclose(downmix(channels), [0.25, 0.0, 0.5], atol=1e-7)


def test_any_target_rate_is_reached() -> None:
    data = by_libsndfile("WAV", "PCM_16", tones(0.5, 44_100), 44_100)
    expected, _ = librosa.load(io.BytesIO(data), sr=22_050)
    np.testing.assert_allclose(hear(data, sampling_rate=22_050), expected, atol=1e-4)
