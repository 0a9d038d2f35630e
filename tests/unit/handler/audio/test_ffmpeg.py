"""Formats that only FFmpeg reads: the recording comes back, within the codec's delay."""

from __future__ import annotations

import io
import math

import av
import numpy as np
import numpy.typing as npt
import pytest
import soxr
from speaker_id.audio.ffmpeg import audio_stream
from speaker_id.audio.frames import to_float
from speaker_id.audio.media import Media
from speaker_id.clip import EncodedAudio

from tests.decoding import shared
from tests.unit.handler.audio.recordings import FORMATS, by_ffmpeg, film, hear, recording, tones

LOSSLESS = (
    "FLAC from a pipe",
    "Ogg FLAC",
    "WAV from a pipe",
    "M4A ALAC",
    "MOV PCM",
    "MOV without ftyp",
    "BW64",
    "W64",
    "W64 float",
    "AU",
    "AU from a pipe",
    "NIST SPHERE",
    "VOC",
    "CAF",
    "CAF ALAC",
    "Matroska FLAC",
    "Matroska PCM",
)
LOSSY = (
    "WAV G.722",
    "WAV MP3",
    "M4A",
    "MP4 in fragments",
    "ADTS AAC",
    "WebM Opus",
    "WebM Opus from a browser",
)
LOSSY += (
    "AU µ-law",
    "NIST SPHERE µ-law",
    "CAF AAC",
    "CAF Opus",
    "MP2",
    "Matroska Vorbis",
    "AMR",
    "3GP AMR",
    "WAV GSM610",
)
LONGEST_DELAY = 3 * 1024 / 44_100  # s; AAC's priming and the filling of its last frame


def original(name: str, seconds: float) -> npt.NDArray[np.float32]:
    _, rate, channels = FORMATS[name]
    mono = tones(seconds, rate, channels).mean(axis=0)
    return soxr.resample(mono, rate, 16_000, quality="HQ")


def best_correlation(heard: npt.NDArray[np.float32], sent: npt.NDArray[np.float32]) -> float:
    """Highest normalised correlation over the lags that a codec may add."""
    core = sent[2000:14_000]
    lags = range(2000 - 1200, 2000 + 1200)
    return max(float(np.corrcoef(heard[lag : lag + len(core)], core)[0, 1]) for lag in lags)


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_codecs_return_the_recording(name: str) -> None:
    heard, sent = hear(recording(name, 1.0)), original(name, 1.0)
    assert heard.shape == sent.shape
    np.testing.assert_allclose(heard, sent, atol=1e-4)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_codecs_return_the_recording_within_their_delay(name: str) -> None:
    heard = hear(recording(name, 1.2))
    assert heard.dtype == np.float32
    assert abs(len(heard) / 16_000 - 1.2) <= LONGEST_DELAY
    assert best_correlation(heard, original(name, 1.2)) > 0.99


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000, 96_000])
def test_m4a_of_each_rate_and_channel_count_keeps_its_length(rate: int, channels: int) -> None:
    heard = hear(by_ffmpeg("ipod", "aac", tones(1.0, rate, channels), rate))
    assert abs(len(heard) / 16_000 - 1.0) <= 3 * 1024 / rate


def test_amr_with_comfort_noise_in_its_pauses_decodes_whole() -> None:
    speech_and_pause = tones(2.0, 8_000)
    speech_and_pause[:, 8_000:] = 0
    data = by_ffmpeg("amr", "libopencore_amrnb", speech_and_pause, 8_000, encoder={"dtx": "1"})
    assert len(data) < len(
        by_ffmpeg("amr", "libopencore_amrnb", speech_and_pause, 8_000)
    )  # pauses are short frames
    assert abs(len(hear(data)) / 16_000 - 2.0) <= 0.04


def test_amr_wideband_has_16_khz_frames_of_20_ms() -> None:
    frame = b"\x04" + bytes(17)  # mode 0: 6.60 kbit/s, 132 bits
    assert len(hear(b"#!AMR-WB\n" + 50 * frame)) == 50 * 320


def test_mpegs_layer_one_has_frames_of_384_samples() -> None:
    frame = b"\xff\xff\x10\xc4".ljust(32, b"\0")  # 32 kbit/s at 44.1 kHz, mono, no bits for any band
    assert len(hear(200 * frame)) == math.ceil(200 * 384 * 16_000 / 44_100)


def test_a_video_with_sound_gives_its_sound() -> None:
    assert abs(len(hear(film(sound=tones(1.0, 44_100)))) / 16_000 - 1.0) <= LONGEST_DELAY


def test_channels_that_change_within_a_stream_are_mixed_as_they_come() -> None:
    mono, stereo = (by_ffmpeg("adts", "aac", tones(1.0, 16_000, channels), 16_000) for channels in (1, 2))
    assert abs(len(hear(mono + stereo + mono)) / 16_000 - 3.0) <= 9 * 1024 / 16_000


@pytest.mark.parametrize("delay", [b"\x56\xaa", b"\x56\xac"], ids=["CodecDelay", "none"])
@pytest.mark.parametrize("name", ["WebM Opus", "WebM Opus from a browser"])
def test_the_pre_skip_of_opus_is_dropped_whatever_the_container_says(name: str, delay: bytes) -> None:
    body = recording(name, 1.0)
    assert body.count(b"\x56\xaa") == 1
    np.testing.assert_array_equal(hear(body.replace(b"\x56\xaa", delay)), hear(body))
    assert len(hear(body)) == 16_000


def test_the_pictures_of_a_video_are_not_even_parsed() -> None:
    with av.open(io.BytesIO(film(sound=tones(1.0, 44_100))), format="mp4") as container:
        stream = audio_stream(container, Media("MP4"))
        assert stream.type == "audio"
        assert {each.type: each.discard.name for each in container.streams} == {
            "video": "all",
            "audio": "default",
        }


@pytest.mark.parametrize(
    ("sample_format", "dtype", "values", "expected"),
    [
        ("u8", np.uint8, [0, 128, 255], [-1.0, 0.0, 127 / 128]),
        ("s16", np.int16, [-32768, 0, 16384], [-1.0, 0.0, 0.5]),
        ("s32", np.int32, [-(2**31), 0, 2**30], [-1.0, 0.0, 0.5]),
        ("flt", np.float32, [-1.0, 0.0, 0.5], [-1.0, 0.0, 0.5]),
        ("dbl", np.float64, [-1.0, 0.0, 0.5], [-1.0, 0.0, 0.5]),
    ],
)
def test_every_sample_format_reaches_the_same_full_scale(
    sample_format: str, dtype: type, values: list[float], expected: list[float]
) -> None:
    frame = av.AudioFrame.from_ndarray(np.array([values], dtype), format=sample_format, layout="mono")
    samples = to_float([frame])
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, [expected])


def test_packed_channels_are_separated() -> None:
    frame = av.AudioFrame.from_ndarray(np.array([[1, 10, 2, 20]], np.int16), format="s16", layout="stereo")
    np.testing.assert_array_equal(to_float([frame]) * 32768, [[1, 2], [10, 20]])


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [("adts", "aac", 44_100), ("webm", "libopus", 48_000), ("ogg", "flac", 44_100)],
)
def test_eight_channels_are_eight_planes(container: str, codec: str, rate: int) -> None:
    sent = tones(1.0, rate, 8)
    body = by_ffmpeg(container, codec, sent, rate)
    # apart from this process, which a ninth plane would end
    heard = shared().decode(EncodedAudio(body), min_samples=400, cpu_seconds=10.0).waveform
    expected = soxr.resample(
        sent[[0, 1, 2, 4, 5, 6, 7]].sum(axis=0) / 8, rate, 16_000, quality="HQ"
    )  # no bass: LFE
    assert best_correlation(heard, expected) > 0.9
