"""A container that declares more than was received is truncated; a stream that declares nothing is not."""

from __future__ import annotations

import random
from typing import Literal

import pytest
from speaker_id.audio import matroska
from speaker_id.errors import CorruptAudio, RequestError, TruncatedAudio

from tests.unit.handler.audio.recordings import (
    FORMATS,
    by_ffmpeg,
    by_libsndfile,
    hear,
    patched,
    recording,
    tones,
)

WITHOUT_PROMISE = (
    "MP3 bare",
    "MP2",
    "ADTS AAC",
    "AMR",
    "WAV from a pipe",
    "AU from a pipe",
    "FLAC from a pipe",
)
WAV_SIZE_AT, DATA_SIZE_AT = 4, 40
SIZES = [  # container, what stands before the size of its samples, bytes of that size
    ("WAV", b"data", 4, "little"),
    ("RF64", b"ds64\x1c\0\0\0`}\0\0\0\0\0\0", 8, "little"),  # behind the size of the file
    ("AIFF", b"SSND", 4, "big"),
    ("AU", b".snd\0\0\0\x18", 4, "big"),
    ("W64", bytes.fromhex("64617461 f3acd311 8cd100c0 4f8edb8a"), 8, "little"),
    ("CAF", b"data", 8, "big"),
]


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in WITHOUT_PROMISE])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_a_cut_file_is_told_apart_from_a_damaged_one(name: str, share: float) -> None:
    whole = recording(name, 1.5)
    with pytest.raises(TruncatedAudio):
        hear(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("name", WITHOUT_PROMISE)
def test_a_stream_without_a_stated_end_is_heard_as_far_as_it_came(name: str) -> None:
    whole = recording(name, 1.5)
    half = hear(whole[: len(whole) // 2 + 1])
    assert len(half) == pytest.approx(len(hear(whole)) / 2, rel=0.25)


@pytest.mark.parametrize("name", ["Ogg Opus", "Ogg Vorbis"])
def test_an_ogg_stream_that_ends_between_two_pages_is_heard(name: str) -> None:
    whole = recording(name, 5.0)
    last_page = whole.rindex(b"OggS")
    assert len(hear(whole[:last_page])) > 8_000


def test_a_browsers_recording_that_ends_between_two_elements_is_heard() -> None:
    whole = recording("WebM Opus from a browser", 3.0)
    borders = [end for end in range(len(whole) - 1_500, len(whole)) if not _is_cut(whole[:end])]
    assert (
        1 <= len(borders) <= 20
    )  # a block is some 250 bytes; a header of 1 or 2 bytes is not yet an element
    assert len(hear(whole[: borders[0]])) > 40_000


def _is_cut(data: bytes) -> bool:
    try:
        matroska.inspect(data)
    except TruncatedAudio:
        return True
    return False


class TestBothNumbers:
    def test_wav(self) -> None:
        whole = by_libsndfile("WAV", "PCM_16", tones(1.0, 16_000), 16_000)
        with pytest.raises(TruncatedAudio, match="WAV data chunk declares 32000 bytes but only 9956 were"):
            hear(whole[:10_000])

    def test_aiff(self) -> None:
        whole = by_libsndfile("AIFF", "PCM_16", tones(1.0, 16_000), 16_000)
        with pytest.raises(
            TruncatedAudio, match=r"AIFF chunk 'SSND' declares 32008 bytes but only 9\d+ were"
        ):
            hear(whole[:10_000])

    def test_flac(self) -> None:
        whole = by_libsndfile("FLAC", "PCM_16", tones(2.0, 16_000), 16_000)
        with pytest.raises(
            TruncatedAudio, match="FLAC header declares 32000 samples but frames for only 16384"
        ):
            hear(whole[: len(whole) // 2])

    def test_flac_without_a_frame(self) -> None:
        whole = by_libsndfile("FLAC", "PCM_16", tones(2.0, 16_000), 16_000)
        with pytest.raises(TruncatedAudio, match="FLAC header declares 32000 samples but frames for only 0"):
            hear(whole[:60])

    def test_ogg_with_a_lost_page(self) -> None:
        whole = by_libsndfile("OGG", "OPUS", tones(2.0, 48_000, 2), 48_000)
        lost = [at for at in range(len(whole)) if whole.startswith(b"OggS", at)][3:5]
        with pytest.raises(TruncatedAudio, match=r"Ogg Opus header declares 96000 samples but only \d+"):
            hear(whole[: lost[0]] + whole[lost[1] :])

    def test_mp3(self) -> None:
        whole = by_libsndfile("MP3", "MPEG_LAYER_III", tones(3.0, 16_000), 16_000)
        half = len(whole) // 2
        with pytest.raises(
            TruncatedAudio, match=f"MP3 header declares {len(whole)} bytes but only {half} were"
        ):
            hear(whole[:half])

    def test_mp4_without_the_index_that_stands_at_its_end(self) -> None:
        whole = by_ffmpeg("mp4", "aac", tones(1.0, 16_000), 16_000)
        with pytest.raises(TruncatedAudio, match=r"MP4 without its index \(a 'moov' box\) in \d+ bytes"):
            hear(whole[: whole.rindex(b"moov") - 4])

    def test_id3(self) -> None:
        with pytest.raises(TruncatedAudio, match="the ID3 tag declares 138 bytes but only 12 were"):
            hear(b"ID3\x04\x00\x00\x00\x00\x01\x00ab")


class TestSizesThatPromiseNothing:
    @pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_F000, 0x8000_0000])
    def test_a_wav_from_a_pipe_is_decoded_as_far_as_it_goes(self, size: int) -> None:
        whole = by_libsndfile("WAV", "PCM_16", tones(1.0, 16_000), 16_000)
        placeholder = size.to_bytes(4, "little")
        streamed = patched(patched(whole, WAV_SIZE_AT, placeholder), DATA_SIZE_AT, placeholder)
        assert len(hear(streamed)) == 16_000

    def test_a_wav_that_claims_a_thousand_million_bytes_is_truncated(self) -> None:
        whole = by_libsndfile("WAV", "PCM_16", tones(1.0, 16_000), 16_000)
        with pytest.raises(TruncatedAudio, match="declares 1000000000 bytes but only 32000 were"):
            hear(patched(whole, DATA_SIZE_AT, (10**9).to_bytes(4, "little")))

    @pytest.mark.parametrize(("container", "chunk", "width", "order"), SIZES)
    def test_a_size_that_counts_the_header_too_is_read(
        self, container: str, chunk: bytes, width: int, order: Literal["little", "big"]
    ) -> None:
        whole = by_libsndfile(container, "PCM_16", tones(1.0, 16_000), 16_000)
        at = whole.index(chunk) + len(chunk)
        declared = int.from_bytes(whole[at : at + width], order)
        for excess in (1, at):
            counted = patched(whole, at, (declared + excess).to_bytes(width, order))
            assert len(hear(counted)) == 16_000
        with pytest.raises(TruncatedAudio):
            hear(patched(whole, at, (declared + 5_000).to_bytes(width, order)))

    def test_a_wav_that_ends_inside_a_sample_is_read(self) -> None:
        whole = by_libsndfile("WAV", "PCM_24", tones(1.0, 16_000, 2), 16_000)
        assert len(hear(whole[:-5])) == 15_999

    @pytest.mark.parametrize("name", ["FLAC", "FLAC 24 bit"])
    def test_a_flac_that_claims_too_few_samples_is_heard_whole(self, name: str) -> None:
        whole = recording(name, 1.0)
        assert len(hear(patched(whole, 22, (9_000).to_bytes(4, "big")))) == 16_000

    def test_a_flac_that_claims_too_many_samples_is_truncated(self) -> None:
        whole = by_libsndfile("FLAC", "PCM_16", tones(1.0, 16_000), 16_000)
        with pytest.raises(TruncatedAudio, match="frames for only 16000 were received"):
            hear(patched(whole, 22, (10**9).to_bytes(4, "big")))

    def test_a_chunk_of_odd_size_before_the_sound_is_padded(self) -> None:
        whole = by_libsndfile("WAV", "PCM_16", tones(1.0, 16_000), 16_000)
        assert len(hear(whole[:36] + b"LIST\x05\0\0\0INFOa\0" + whole[36:])) == 16_000

    def test_chunks_behind_the_sound_may_be_cut(self) -> None:
        whole = by_libsndfile("WAV", "PCM_16", tones(1.0, 16_000), 16_000)
        assert len(hear(whole + b"LIST\xff\xff\x00\x00INFO")) == 16_000

    def test_an_mp3_may_lack_the_tag_that_its_writer_counted(self) -> None:
        whole = by_libsndfile("MP3", "MPEG_LAYER_III", tones(1.0, 16_000), 16_000)
        at = whole.index(b"Info" if b"Info" in whole else b"Xing") + 12
        counted = int.from_bytes(whole[at : at + 4], "big")
        with_tag = patched(whole, at, (counted + 128).to_bytes(4, "big"))
        assert len(hear(with_tag)) == len(hear(whole))

    def test_bytes_behind_an_mp4_are_ignored(self) -> None:
        whole = by_ffmpeg("mp4", "aac", tones(1.0, 16_000), 16_000)
        assert len(hear(whole + b"TAG" + b"\xff" * 125)) == len(hear(whole))


def test_no_length_of_any_format_escapes_the_request_errors() -> None:
    lengths = random.Random(1)
    for name in FORMATS:
        whole = recording(name, 0.3)
        for _ in range(12):
            try:
                hear(whole[: lengths.randrange(len(whole))])
            except RequestError as error:
                assert not isinstance(error, CorruptAudio) or name.startswith(("FLAC", "MP")), name  # noqa: PT017
