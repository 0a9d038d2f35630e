"""What is wrong with a clip has an error of its own, which names the value and the limit."""

from __future__ import annotations

import numpy as np
import pytest
from speaker_id.audio import decode
from speaker_id.clip import RawAudio
from speaker_id.errors import (
    AudioTooLong,
    AudioTooShort,
    CorruptAudio,
    EmptyAudio,
    NonFiniteAudio,
    RequestError,
    UnsupportedLayout,
)

from tests.unit.handler.audio.recordings import (
    Samples,
    by_ffmpeg,
    by_libsndfile,
    hear,
    patched,
    recording,
    tones,
)

RATE_AT, CHANNELS_AT, DATA_SIZE_AT = 24, 22, 40  # offsets in a plain 44-byte WAV header


def wav(samples: Samples, rate: int = 16_000, subtype: str = "PCM_16") -> bytes:
    return by_libsndfile("WAV", subtype, samples, rate)


def raw(samples: Samples, rate: int = 16_000) -> np.ndarray:
    return decode(RawAudio(samples, rate), sampling_rate=16_000, max_seconds=120.0, min_samples=400).waveform


def message(error: type[RequestError], data: bytes) -> str:
    with pytest.raises(error) as caught:
        hear(data)
    assert type(caught.value) is error
    return caught.value.message


class TestEmpty:
    def test_no_bytes(self) -> None:
        assert message(EmptyAudio, b"") == "the body is empty: send the bytes of an audio file"

    @pytest.mark.parametrize(
        ("container", "subtype"), [("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("OGG", "VORBIS")]
    )
    def test_a_recording_of_no_samples(self, container: str, subtype: str) -> None:
        message(EmptyAudio, by_libsndfile(container, subtype, np.zeros((1, 0), np.float32), 16_000))

    def test_a_wav_of_no_samples_with_a_tag_behind_them(self) -> None:
        head = wav(np.zeros((1, 0), np.float32))[:44]
        body = head + b"LIST\x06\0\0\0INFOab"
        closed = patched(body, 4, (len(body) - 8).to_bytes(4, "little"))
        assert message(EmptyAudio, closed) == "WAV with an empty data chunk"

    def test_an_opus_recording_stopped_at_once(self) -> None:
        message(EmptyAudio, by_libsndfile("OGG", "OPUS", np.zeros((1, 0), np.float32), 48_000))

    def test_only_an_id3_tag(self) -> None:
        message(EmptyAudio, b"ID3\x04\x00\x00\x00\x00\x00\x05" + bytes(5))

    @pytest.mark.parametrize("shape", [(0,), (1, 0), (0, 100)])
    def test_an_array_of_no_samples(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(EmptyAudio):
            raw(np.zeros(shape, np.float32))


class TestTooShort:
    def test_one_sample_below_the_receptive_field(self) -> None:
        assert message(AudioTooShort, wav(tones(399 / 16_000, 16_000))) == (
            "24.94 ms of audio; at least 25 ms (400 samples at 16000 Hz) are needed"
        )

    def test_exactly_the_receptive_field_passes(self) -> None:
        assert len(hear(wav(tones(400 / 16_000, 16_000)))) == 400

    def test_the_length_after_resampling_counts(self) -> None:
        assert len(hear(wav(tones(200 / 8_000, 8_000), 8_000))) == 400
        assert "24.88 ms" in message(AudioTooShort, wav(tones(199 / 8_000, 8_000), 8_000))


class TestTooLong:
    def test_exactly_the_limit_passes(self) -> None:
        assert len(hear(wav(tones(2.0, 8_000), 8_000), max_seconds=2.0)) == 32_000

    def test_a_limit_that_floats_cannot_hold_exactly_still_passes(self) -> None:
        assert len(hear(wav(tones(0.57, 44_100), 44_100), max_seconds=0.57)) == 9_120

    def test_one_sample_more_is_refused_with_its_length(self) -> None:
        with pytest.raises(AudioTooLong, match=r"2\.000125 s of audio; the limit is 2 s: .* windows"):
            hear(wav(tones(2.000125, 8_000), 8_000), max_seconds=2.0)

    def test_an_array_over_the_limit(self) -> None:
        with pytest.raises(AudioTooLong, match=r"120\.0000625 s"):
            raw(np.zeros(120 * 16_000 + 1, np.float32))

    @pytest.mark.parametrize(
        ("container", "codec"), [("ipod", "aac"), ("adts", "aac"), ("mp3", "libmp3lame")]
    )
    @pytest.mark.parametrize("rate", [16_000, 44_100])
    def test_a_codecs_own_padding_does_not_count(self, container: str, codec: str, rate: int) -> None:
        heard = hear(by_ffmpeg(container, codec, tones(2.0, rate), rate), max_seconds=2.0)
        assert len(heard) == 32_000

    @pytest.mark.parametrize("name", ["M4A", "MP3"])
    def test_the_length_that_a_container_states_is_refused_unread(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = recording(name, 4.0)
        monkeypatch.setattr("speaker_id.audio.frames.to_float", lambda _: pytest.fail("a frame was decoded"))
        with pytest.raises(AudioTooLong, match=r"^4(\.\d+)? s of audio; the limit is 1 s"):
            hear(body, max_seconds=1.0)

    @pytest.mark.parametrize(
        "name", ["M4A", "ADTS AAC", "MP3 with ID3", "Ogg Opus", "FLAC from a pipe", "WebM Opus"]
    )
    def test_every_kind_of_reader_stops(self, name: str) -> None:
        with pytest.raises(AudioTooLong):
            hear(recording(name, 2.0), max_seconds=1.0)


class TestLayout:
    @pytest.mark.parametrize("rate", [0, 3_999, 192_001, 2**32 - 1])
    def test_a_sampling_rate_outside_the_limits(self, rate: int) -> None:
        body = patched(wav(tones(0.1, 16_000)), RATE_AT, rate.to_bytes(4, "little"))
        assert message(UnsupportedLayout, body) == f"sampling rate {rate} Hz; 4000 to 192000 Hz are supported"

    @pytest.mark.parametrize("channels", [0, 9, 65_535])
    def test_a_channel_count_outside_the_limits(self, channels: int) -> None:
        body = patched(wav(tones(0.1, 16_000)), CHANNELS_AT, channels.to_bytes(2, "little"))
        assert message(UnsupportedLayout, body) == f"{channels} channels; 1 to 8 are supported"

    @pytest.mark.parametrize("rate", [4_000, 192_000])
    def test_both_limits_are_within(self, rate: int) -> None:
        assert len(hear(wav(tones(0.5, rate, 8), rate))) == 8_000

    def test_flac_and_aiff_outside_the_limits(self) -> None:
        message(UnsupportedLayout, by_libsndfile("FLAC", "PCM_16", tones(0.1, 3_000), 3_000))
        message(UnsupportedLayout, by_libsndfile("AIFF", "PCM_16", tones(0.1, 3_000), 3_000))
        message(UnsupportedLayout, by_libsndfile("AIFF", "PCM_16", tones(0.1, 16_000, 9), 16_000))

    def test_an_array_of_samples_by_channels_is_told_what_to_send(self) -> None:
        with pytest.raises(UnsupportedLayout, match="16000 channels; 1 to 8"):
            raw(np.zeros((16_000, 2), np.float32))

    @pytest.mark.parametrize("shape", [(), (1, 2, 3)])
    def test_an_array_of_another_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(UnsupportedLayout, match="samples of shape"):
            raw(np.ones(shape, np.float32))

    def test_a_rate_that_changes_within_the_clip_changes_the_resampler(self) -> None:
        first, second = (by_ffmpeg("adts", "aac", tones(1.0, rate), rate) for rate in (16_000, 44_100))
        assert len(hear(first + second)) == len(hear(first)) + len(hear(second))

    def test_a_rate_that_changes_for_ever(self) -> None:
        first, second = (by_ffmpeg("adts", "aac", tones(0.1, rate), rate) for rate in (16_000, 44_100))
        assert "the sampling rate changes 64 times" in message(CorruptAudio, (first + second) * 40)


class TestNonFinite:
    def test_the_first_sample_and_the_count_are_named(self) -> None:
        samples = tones(1.0, 16_000, 2)
        samples[0, 4_000], samples[1, 9_000] = np.nan, np.inf
        assert message(NonFiniteAudio, wav(samples, subtype="FLOAT")) == (
            "2 of 16000 samples are NaN, infinite or too large to mix: first at sample 4000 (0.25 s)"
        )

    def test_a_sample_in_a_later_block_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("speaker_id.audio.sndfile.BLOCK_VALUES", 1_000)
        samples = tones(1.0, 16_000)
        samples[0, [4_321, 9_876]] = -np.inf
        assert "2 of 16000 samples are NaN, infinite or too large to mix: first at sample 4321" in message(
            NonFiniteAudio, wav(samples, subtype="FLOAT")
        )

    def test_doubles_beyond_float32_do_not_pass_as_infinite(self) -> None:
        body = bytearray(wav(tones(1.0, 16_000), subtype="DOUBLE"))
        body[-8:] = np.array([1e300]).tobytes()
        assert "first at sample 15999" in message(NonFiniteAudio, bytes(body))

    def test_an_array_with_a_nan(self) -> None:
        with pytest.raises(NonFiniteAudio, match="first at sample 7"):
            raw(np.where(np.arange(16_000) == 7, np.nan, 0.1).astype(np.float32))

    def test_overflow_in_the_resampler_does_not_pass_silently(self) -> None:
        alternating = np.where(np.arange(44_100) % 64 < 32, 3e38, -3e38).astype(np.float32)
        with pytest.raises(NonFiniteAudio, match="overflow float32 when resampled; scale them to ±1"):
            raw(alternating, 44_100)

    def test_values_far_beyond_full_scale_are_fine(self) -> None:
        loud = tones(1.0, 44_100) * np.float32(2**31)
        assert np.abs(raw(loud, 44_100)).max() > 5e8

    @pytest.mark.parametrize("level", [1e13, 1e18, 3e34])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_values_whose_squares_overflow_in_the_model_are_not(self, level: float, sign: int) -> None:
        samples = tones(1.0, 16_000)
        samples[0, 5] = sign * level
        with pytest.raises(
            NonFiniteAudio, match=r"overflow in the model; at most 1e\+12 is accepted: scale them to ±1"
        ):
            raw(samples)


class TestRaw:
    def test_mono_at_the_target_rate_is_returned_unchanged(self) -> None:
        samples = tones(1.0, 16_000)[0]
        np.testing.assert_array_equal(raw(samples), samples)

    def test_channels_are_mixed_and_resampled_as_a_file_of_them_is(self) -> None:
        samples = tones(1.0, 44_100, 2)
        np.testing.assert_allclose(raw(samples, 44_100), hear(wav(samples, 44_100, "FLOAT")), atol=1e-6)

    def test_a_strided_array_comes_back_contiguous(self) -> None:
        assert raw(tones(2.0, 16_000)[0, ::2]).flags.c_contiguous


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_every_kind_are_heard(kind: type) -> None:
    assert len(hear(kind(wav(tones(0.5, 16_000))))) == 8_000


def test_a_known_container_with_rubbish_inside_is_corrupt() -> None:
    flac = by_libsndfile("FLAC", "PCM_16", tones(2.0, 16_000), 16_000)
    damaged = patched(flac, len(flac) // 2, bytes(400))
    assert message(CorruptAudio, damaged) == "FLAC content cannot be decoded"
    rubbish = b"\x1a\x45\xdf\xa3\x80" + b"rubbish" * 9
    assert message(CorruptAudio, rubbish) == (
        "WebM/Matroska content cannot be decoded: no element begins at byte 5"
    )


@pytest.mark.parametrize("name", ["ADTS AAC", "MP3 bare"])
def test_damage_in_the_middle_of_a_stream_is_no_end(name: str) -> None:
    whole = recording(name, 2.0)
    middle = len(whole) // 2
    assert "cannot be decoded" in message(CorruptAudio, patched(whole, middle, b"\xa5" * 1_500))


def test_a_wav_with_half_a_format_chunk_is_corrupt() -> None:
    whole = wav(tones(0.1, 16_000))
    assert "format chunk of 8 bytes; at least 16" in message(
        CorruptAudio, patched(whole, 16, b"\x08") + bytes(40)
    )


def test_a_wav_without_its_chunks_is_corrupt() -> None:
    head = b"RIFF\x0c\x00\x00\x00WAVE"
    assert message(CorruptAudio, head + b"LIST" + bytes(4)) == "WAV without a data chunk"
    assert message(CorruptAudio, head + b"data\x02\0\0\0ab") == "WAV without a format chunk before its data"
    assert message(CorruptAudio, b"FORM\x00\x00\x00\x04AIFF") == "AIFF without a sound data chunk"


def test_messages_show_neither_paths_nor_the_library() -> None:
    with pytest.raises(CorruptAudio) as caught:
        hear(patched(wav(tones(0.5, 16_000)), 34, b"\0\0"))  # 0 bits a sample
    assert "BytesIO" not in caught.value.message
    assert "/" not in caught.value.message
    assert caught.value.__cause__ is not None
