"""Recordings that are joined end to end are heard whole: decoders stop behind the first and do not say so."""

from __future__ import annotations

import numpy as np
import pytest
from speaker_id.errors import CorruptAudio, RequestError, TruncatedAudio

from tests.unit.handler.audio.recordings import FORMATS, by_libsndfile, hear, recording, tones
from tests.unit.handler.audio.test_sniff import speex

# A stream that declares no end has no other end than the body's: what follows is more of its samples.
WITHOUT_END = ("WAV from a pipe", "AU from a pipe")


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in WITHOUT_END])
def test_two_of_each_format_are_heard_whole_or_refused(name: str) -> None:
    one, other = recording(name, 0.7), recording(name, 1.1)
    expected = len(hear(one)) + len(hear(other))
    if name == "MOV without ftyp":
        with pytest.raises(CorruptAudio, match="two indexes"):
            hear(one + other)
        return
    heard = len(hear(one + other))
    # the priming of MPEG's second stream is sound to a decoder that has begun already
    assert abs(heard - expected) <= (1_600 if name.startswith(("MP", "ADTS")) else 2)


@pytest.mark.parametrize("name", ["Ogg Vorbis", "Ogg Opus", "Ogg FLAC", "FLAC"])
def test_a_chain_is_its_links_one_after_the_other(name: str) -> None:
    links = [recording(name, seconds) for seconds in (0.5, 0.9, 0.3)]
    together = hear(b"".join(links))
    apart = np.concatenate([hear(link) for link in links])
    assert abs(len(together) - len(apart)) <= 2
    middle = slice(4_000, 7_000)
    np.testing.assert_allclose(together[middle], apart[middle], atol=1e-3)


def test_a_chain_of_speex() -> None:
    assert len(hear(speex(frames=50) * 3)) == 150 * 320


def test_a_chain_of_several_rates() -> None:
    links = [by_libsndfile("OGG", "OPUS", tones(0.5, rate), rate) for rate in (16_000, 48_000, 8_000)]
    assert len(hear(b"".join(links))) == 24_000


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_an_empty_link_of_a_chain_is_passed_over(codec: str) -> None:
    full, empty = (by_libsndfile("OGG", codec, tones(length, 48_000), 48_000) for length in (1.0, 0.0))
    for chain in (empty + full, full + empty, full + empty + full):
        assert len(hear(chain)) == 16_000 * chain.count(full)


@pytest.mark.parametrize("between", [bytes(999), b"TAG" + b"x" * 125, b"ID3\4\0\0\0\0\0\5aaaaa"])
@pytest.mark.parametrize("name", ["Ogg Vorbis", "Ogg FLAC", "FLAC", "FLAC from a pipe"])
def test_what_stands_between_two_of_them_does_no_harm(name: str, between: bytes) -> None:
    one = recording(name, 1.0)
    assert len(hear(one + between + one)) == 32_000


def test_formats_may_be_mixed() -> None:
    parts = [recording(name, 0.5) for name in ("WAV PCM_16", "AIFF", "Ogg Opus", "M4A ALAC")]
    assert abs(len(hear(b"".join(parts))) - 4 * 8_000) <= 4


def test_a_link_that_is_cut_is_truncated_and_not_dropped() -> None:
    first, second = recording("Ogg Vorbis", 1.0), recording("Ogg Vorbis", 1.0)
    with pytest.raises(TruncatedAudio):
        hear(first[: len(first) // 2] + second)
    with pytest.raises(TruncatedAudio):
        hear(first + second[: len(second) // 2])


def test_the_limit_counts_all_of_them() -> None:
    with pytest.raises(RequestError, match="more than 1 s"):
        hear(recording("Ogg Opus", 0.4) * 3, max_seconds=1.0)


def test_more_than_a_few_are_refused() -> None:
    with pytest.raises(CorruptAudio, match="more than 64 recordings"):
        hear(by_libsndfile("FLAC", "PCM_16", tones(0.01, 8_000), 8_000) * 65)


TAGS = {
    "ID3v2": b"ID3\x04\0\0\0\0\x07\x00" + b"\xff\xfb\x90\x64" * 224,  # a picture may spell sync words
    "ID3v1": b"TAG" + b"x" * 125,
    "APE": b"APETAGEX" + (2000).to_bytes(4, "little") + (40).to_bytes(4, "little") + bytes(4)
    + (1 << 31 | 1 << 29).to_bytes(4, "little") + bytes(8) + b"x" * 8 + b"APETAGEX" + (2000).to_bytes(4, "little")
    + (40).to_bytes(4, "little") + bytes(4) + (1 << 31).to_bytes(4, "little") + bytes(8),
}  # fmt: skip


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", ["MP3", "MP3 bare", "MP2", "ADTS AAC"])
def test_tags_between_two_streams_cost_nothing(name: str, tag: str) -> None:
    one = recording(name, 1.0)
    assert len(hear(one + TAGS[tag] + one)) == len(hear(one + one))
    assert len(hear(one + TAGS[tag])) == len(hear(one))
