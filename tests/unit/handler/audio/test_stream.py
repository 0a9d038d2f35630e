"""A file that is decoded as it is read gives the waveform, or the error, that its bytes give."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from speaker_id import audio
from speaker_id.audio import length, span
from speaker_id.clip import EncodedAudio
from speaker_id.errors import AudioTooLong, RequestError

from measure.chaos.recordings import FORMATS, recording

CASES = sorted((Path(__file__).parent / "cases").iterdir())
RATE, SECONDS = 16_000, 120.0


def by_bytes(data: bytes) -> tuple[np.ndarray, int]:
    decoded = audio.decode(EncodedAudio(data), sampling_rate=RATE, max_seconds=SECONDS, min_samples=400)
    return decoded.waveform, decoded.skipped_frames


def by_file(data: bytes) -> tuple[np.ndarray, int]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        damage = audio.Damage(audio.most_frames(SECONDS))
        parts = audio.stream(
            audio.Span.of(file.fileno()),
            sampling_rate=RATE,
            max_seconds=SECONDS,
            min_samples=400,
            damage=damage,
        )
        return np.concatenate(list(parts)), damage.skipped


def outcome(decode, data: bytes) -> tuple[str, object]:
    try:
        waveform, skipped = decode(data)
    except RequestError as error:
        return error.code, error.message
    return str(skipped), waveform.tobytes()


def damaged(data: bytes, seed: int) -> bytes:
    """With 40 bytes changed somewhere."""
    random = np.random.default_rng(seed)
    changed = np.frombuffer(data, np.uint8).copy()
    changed[random.integers(0, len(data), 40)] = random.integers(0, 256, 40)
    return changed.tobytes()


@pytest.fixture(autouse=True)
def ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the shortest slices of a file are ranges, and a search takes many steps."""
    monkeypatch.setattr(span, "LONGEST_COPY", 64)
    monkeypatch.setattr(span, "STEP", 1000)


@pytest.mark.parametrize("name", FORMATS)
def test_of_every_format_whole_joined_truncated_and_damaged(name: str) -> None:
    data = recording(name, 0.7)
    for each in (data, data + data, data[: 2 * len(data) // 3], *(damaged(data, seed) for seed in range(3))):
        assert outcome(by_file, each) == outcome(by_bytes, each)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_of_files_that_people_have(path: Path) -> None:
    data = path.read_bytes()
    assert outcome(by_file, data) == outcome(by_bytes, data)


@pytest.mark.parametrize(
    "data", [b"<html>", b"\0" * 5000, b"ID3\4\0\0\0\0\0\0", b"OggS" * 3000, b"fLaC" * 3000]
)
def test_of_what_is_no_recording(data: bytes) -> None:
    assert outcome(by_file, data) == outcome(by_bytes, data)


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_past_the_limit_is_refused_before_its_first_part(name: str) -> None:
    lengths: list[float] = []
    with tempfile.TemporaryFile() as file:
        file.write(recording(name, 20.0))
        file.flush()
        for most in (10.0, 30.0):
            parts = audio.stream(
                audio.Span.of(file.fileno()),
                sampling_rate=RATE,
                max_seconds=most,
                min_samples=400,
                damage=audio.Damage(audio.most_frames(most)),
                on_length=lengths.append,
            )
            with pytest.raises(AudioTooLong) if most < 20 else nullcontext():
                next(parts)
    assert lengths == [pytest.approx(20.0, abs=0.2)]


def changed(data: bytes, box: bytes, offset: int, value: int) -> bytes:
    """With a number of an MP4 box, after its name, replaced."""
    at = data.index(box) + len(box) + offset
    return data[:at] + value.to_bytes(4, "big") + data[at + 4 :]


M4A = recording("M4A", 3.0)
WRONG_LENGTHS = {
    "its last packet lasts six hours": changed(M4A, b"stts", 8 * M4A[M4A.index(b"stts") + 11] + 4, 1 << 30),
    "every packet lasts no time": changed(recording("MP4 in fragments", 3.0), b"mdhd", 12, (1 << 31) - 1),
}


@pytest.mark.parametrize("wrong", WRONG_LENGTHS)
def test_a_recording_whose_packets_state_wrong_lengths_is_decoded(wrong: str) -> None:
    lengths: list[float] = []
    with tempfile.TemporaryFile() as file:
        file.write(WRONG_LENGTHS[wrong])
        file.flush()
        parts = audio.stream(
            audio.Span.of(file.fileno()),
            sampling_rate=RATE,
            max_seconds=3.5,
            min_samples=400,
            damage=audio.Damage(audio.most_frames(3.5)),
            on_length=lengths.append,
        )
        assert sum(map(len, parts)) == pytest.approx(3 * RATE, abs=0.1 * RATE)
    assert lengths == []


@pytest.mark.parametrize(("seconds", "most_packets"), [(10.4, length.MOST_PACKETS), (20.0, 100)])
def test_parts_come_before_a_limit_is_found_to_be_passed_by_little_or_by_too_many_packets_to_count(
    monkeypatch: pytest.MonkeyPatch, seconds: float, most_packets: int
) -> None:
    monkeypatch.setattr(length, "MOST_PACKETS", most_packets)
    data = recording("MP3 bare", seconds)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        damage = audio.Damage(audio.most_frames(10.0))
        parts = audio.stream(
            audio.Span.of(file.fileno()), sampling_rate=RATE, max_seconds=10.0, min_samples=400, damage=damage
        )
        assert len(next(parts))
        with pytest.raises(AudioTooLong):
            list(parts)


def test_a_range_is_like_its_bytes() -> None:
    data = bytes(range(256)) * 20
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        whole = audio.Span.of(file.fileno())
        for part, same in (
            (whole, data),
            (whole[100:3000], data[100:3000]),
            (whole[100:][1:-9], data[100:][1:-9]),
        ):
            assert bytes(part) == same
            assert (len(part), part[0], part[-1], part[3:9]) == (len(same), same[0], same[-1], same[3:9])
            for wanted in (b"\x63\x64", b"\xff\0", b"absent", same[-3:], same[:3]):
                assert part.find(wanted) == same.find(wanted)
                assert part.find(wanted, 700) == same.find(wanted, 700)
                assert part.rfind(wanted) == same.rfind(wanted)
                assert part.rfind(wanted, 50, 900) == same.rfind(wanted, 50, 900)
                assert part.count(wanted) == same.count(wanted)
            assert part.startswith((b"xx", same[5:9]), 5)
            assert part[5000:9000] == same[5000:9000]
            assert span.SpanFile(part).read() == same


def test_a_search_finds_what_lies_across_two_steps() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(1998) + b"OggS" + bytes(1998))
        file.flush()
        assert audio.Span.of(file.fileno()).find(b"OggS") == 1998


def test_a_file_moves_only_to_positions_that_are_possible() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(1000))
        file.flush()
        opened = span.SpanFile(audio.Span.of(file.fileno()))
        assert opened.seek(-10, 2) == 990
        assert opened.seek(-2000, 1) == 990
        assert opened.seek(5, 9) == 990
        assert len(opened.read(100)) == 10
        assert opened.seek(5000) == 5000
        assert opened.read(1) == b""
