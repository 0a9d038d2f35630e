"""A stream is taken up where its frames begin; a damaged frame is passed over and counted, too many are an error."""

from __future__ import annotations

import random
import re

import pytest
from speaker_id.audio import decode, mpeg
from speaker_id.clip import Decoded, EncodedAudio
from speaker_id.errors import AudioTooLong, CorruptAudio, TruncatedAudio, UnsupportedMedia

from tests.unit.handler.audio.recordings import by_ffmpeg, hear, patched, recording, tones

SECONDS = 4.0
STREAMS = ("MP3 bare", "MP2", "ADTS AAC")
JUNK = {
    "half a frame": lambda stream: stream[frames(stream)[5] + 20 : frames(stream)[6]],
    "zeros": lambda _: bytes(5_000),
    "64 KiB of zeros": lambda _: bytes(1 << 16),
    "noise": lambda _: random.Random(1).randbytes(60_000),
}


def decoded(data: bytes) -> Decoded:
    return decode(EncodedAudio(data), sampling_rate=16_000, max_seconds=120.0, min_samples=400)


def frames(stream: bytes) -> list[int]:
    """Where each frame begins."""
    starts, at = [], 0
    while found := mpeg.frame(stream, at):
        starts.append(at)
        at += found.size
    return starts


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("junk", JUNK)
def test_a_stream_behind_junk_begins_where_its_frames_do(name: str, junk: str) -> None:
    stream = recording(name, SECONDS)
    found = decoded(JUNK[junk](stream) + stream)
    assert len(found.waveform) == len(hear(stream))
    assert found.skipped_frames == 0


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_begins_inside_a_frame_lacks_that_one(name: str) -> None:
    stream = recording(name, SECONDS)
    second = frames(stream)[1]
    assert len(hear(stream[second // 2 :])) == len(hear(stream[second:]))


@pytest.mark.parametrize("name", STREAMS)
def test_more_junk_than_players_pass_over_is_no_stream(name: str) -> None:
    with pytest.raises(UnsupportedMedia):
        hear(bytes((1 << 16) + 16) + recording(name, SECONDS))


@pytest.mark.parametrize(
    "signature", [b"PK\x03\x04", b"RIFF\x24\0\0\0AVI LIST", b"\xff\xd8\xff\xe0", b"%PDF-1.7"]
)
def test_frames_inside_of_something_else_are_no_stream(signature: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        hear(signature + bytes(100) + recording("MP3 bare", SECONDS))


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("filling", [b"\0", b"\xa5"])
def test_a_frame_that_is_overwritten_is_skipped_and_counted(name: str, filling: bytes) -> None:
    stream = recording(name, SECONDS)
    starts = frames(stream)
    middle = len(starts) // 2
    found = decoded(patched(stream, starts[middle], filling * (starts[middle + 1] - starts[middle])))
    assert found.skipped_frames == 1
    lost = (len(hear(stream)) - len(found.waveform)) / len(hear(stream)) * len(starts)
    assert lost == pytest.approx(1, abs=1.1), "of a Layer III frame the next one goes too: it borrows bits"


@pytest.mark.parametrize("name", STREAMS)
def test_too_much_damage_is_an_error_that_says_where_it_begins(name: str) -> None:
    stream = recording(name, SECONDS)
    starts = frames(stream)
    first, last = len(starts) // 2, len(starts) // 2 + len(starts) // 10
    with pytest.raises(
        CorruptAudio, match=r"\d+ of \d+ frames are damaged, more than 5%; the first is at"
    ) as caught:
        hear(patched(stream, starts[first], b"\xa5" * (starts[last] - starts[first])))
    seconds = float(caught.value.message.split("the first is at ")[1].split(" s")[0])
    assert seconds == pytest.approx(len(hear(stream)) / 16_000 / 2, abs=0.15)


class TestAmr:
    def test_a_damaged_first_byte_costs_one_frame(self) -> None:
        stream = recording("AMR", SECONDS)
        found = decoded(patched(stream, 6 + 13 * 50, b"\xff"))
        assert (found.skipped_frames, len(found.waveform)) == (1, len(hear(stream)) - 320)

    def test_a_first_byte_that_lies_about_the_size_costs_its_frame(self) -> None:
        stream = recording("AMR", SECONDS)
        lying = b"\x3c" if stream[6] != 0x3C else b"\x04"
        size = {0x3C: 32, 0x04: 13}[stream[6]] if stream[6] in (0x3C, 0x04) else 13
        found = decoded(patched(stream, 6 + size * 50, lying))
        assert (found.skipped_frames, len(found.waveform)) == (1, len(hear(stream)) - 320)

    def test_too_much_damage(self) -> None:
        stream = recording("AMR", SECONDS)
        with pytest.raises(CorruptAudio, match=r"the first is at 2\.\d+ s"):
            hear(patched(stream, 6 + (len(stream) - 6) // 2, b"\xff" * 400))


@pytest.mark.parametrize("name", ["M4A", "WAV MP3", "CAF AAC"])
def test_a_damaged_frame_in_a_container_is_counted_too(name: str) -> None:
    stream = recording(name, SECONDS)
    at = len(stream) // 2
    found = decoded(patched(stream, at, random.Random(2).randbytes(300)))
    assert len(found.waveform) > 0.9 * len(hear(stream))


def test_damage_to_lossless_audio_is_an_error() -> None:
    stream = recording("M4A ALAC", SECONDS)
    with pytest.raises(CorruptAudio):
        hear(patched(stream, len(stream) // 2, bytes(3_000)))


@pytest.mark.parametrize("codec", ["mp3", "adts"])
def test_frames_that_change_their_channels_have_an_end(codec: str) -> None:
    """What is drawn counts against the limit: frames shorter than the padding once passed it for ever."""
    encoder = {"mp3": "libmp3lame", "adts": "aac"}[codec]
    muxer = {"write_xing": "0", "id3v2_version": "0"} if codec == "mp3" else {}
    streams = [
        by_ffmpeg(codec, encoder, tones(0.5, 48_000, channels), 48_000, muxer=muxer) for channels in (1, 2)
    ]
    pairs = [
        [stream[start:end] for start, end in zip(frames(stream)[4:9], frames(stream)[5:10], strict=True)]
        for stream in streams
    ]
    flapping = b"".join(mono + stereo for mono, stereo in zip(*pairs, strict=True))
    with pytest.raises(AudioTooLong, match="more than 1 s"):
        hear(flapping * 50, max_seconds=1.0)


def test_damage_between_the_blocks_of_a_webm_is_an_error_and_no_early_end() -> None:
    stream = recording("WebM Opus", SECONDS)
    with pytest.raises((CorruptAudio, TruncatedAudio)):
        hear(patched(stream, len(stream) // 2, random.Random(2).randbytes(300)))
    block = re.compile(rb"\xa3[\x40-\x4f].\x81", re.DOTALL).search(stream, len(stream) // 2)
    assert block is not None
    of_no_kind = b"\x91\x81\0" * ((len(stream) - block.start()) // 3)
    with pytest.raises(CorruptAudio, match=f"no element begins at byte {block.start() + 3}"):
        hear(stream[: block.start()] + of_no_kind + bytes((len(stream) - block.start()) % 3))
