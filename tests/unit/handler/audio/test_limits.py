"""A small body that expands to hours costs neither the memory nor the time of its full length."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speaker_id.audio import mpeg
from speaker_id.errors import AudioTooLong

from tests.unit.handler.audio.recordings import by_ffmpeg, film, hear, patched, tones

ROOT = Path(__file__).parents[4]
TEN_HOURS = 36_000  # s
MOST_SECONDS, MOST_MIB = 1.0, 100.0
MOST_SEARCH_SECONDS = 3.0  # of the processor for a body of LARGEST bytes; the worst takes a third

MEASURE = """
import json, resource, sys, time
from speaker_id.audio import decode
from speaker_id.clip import EncodedAudio
from speaker_id.errors import RequestError

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB, on Linux

data = sys.stdin.buffer.read()
before, start = peak(), time.process_time()
try:
    decoded = decode(EncodedAudio(data), sampling_rate=16_000, max_seconds=120.0, min_samples=400)
    outcome = len(decoded.waveform)
except RequestError as error:
    outcome = error.code
print(json.dumps([outcome, time.process_time() - start, peak() - before]))
"""


def measure(data: bytes) -> tuple[str | int, float, float]:
    """Outcome, processor seconds and MiB of one decode in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        input=data,
        capture_output=True,
        cwd=ROOT / "handler",
        check=True,
        timeout=600,
    )
    assert done.stderr == b""
    outcome, seconds, mebibytes = json.loads(done.stdout)
    return outcome, seconds, mebibytes


@cache
def silent_flac(seconds: int, rate: int, channels: int) -> bytes:
    body = io.BytesIO()
    with soundfile.SoundFile(body, "w", rate, channels, format="FLAC", subtype="PCM_16") as writer:
        ten_seconds = np.zeros((10 * rate, channels), np.int16)
        for _ in range(seconds // 10):
            writer.write(ten_seconds)
    return body.getvalue()


def without_length(flac: bytes) -> bytes:
    return patched(patched(flac, 21, bytes([flac[21] & 0xF0])), 22, bytes(4))


def repeated_frames(container: str, codec: str, seconds: int) -> bytes:
    """Hours of silence by repeating one second of its frames."""
    stream = by_ffmpeg(
        container,
        codec,
        np.zeros((1, 16_000), np.float32),
        8_000,
        muxer=NO_TAGS[container],
        encoder={"b": "8000"},
    )
    frames, at = [], 0
    while found := mpeg.frame(stream, at):
        frames.append(stream[at : at + found.size])
        at += found.size
    return b"".join(frames[4:9]) * round(seconds * 8_000 / 1024 / 5)


NO_TAGS = {"mp3": {"write_xing": "0", "id3v2_version": "0"}, "adts": {}}
BOMBS = {
    "10 hours of FLAC": lambda: silent_flac(TEN_HOURS, 4_000, 1),
    "10 hours of FLAC without a length": lambda: without_length(silent_flac(TEN_HOURS, 4_000, 1)),
    "10 hours of MP3": lambda: repeated_frames("mp3", "libmp3lame", TEN_HOURS),
    "10 hours of AAC": lambda: repeated_frames("adts", "aac", TEN_HOURS),
    "10 hours of AMR": lambda: b"#!AMR\n" + b"\x7c" * (50 * TEN_HOURS),  # frames of no data
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_second_and_little_memory(name: str) -> None:
    outcome, seconds, mebibytes = measure(BOMBS[name]())
    assert outcome == "audio_too_long"
    assert seconds < MOST_SECONDS
    assert mebibytes < MOST_MIB


def test_eight_channels_at_192_khz_are_mixed_block_by_block() -> None:
    outcome, _, mebibytes = measure(silent_flac(30, 192_000, 8))  # 184 MB of float32 in full
    assert outcome == 30 * 16_000
    assert mebibytes < MOST_MIB


def test_no_more_blocks_are_drawn_than_the_limit_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    read = soundfile.SoundFile.read

    def counting(self: soundfile.SoundFile, *args: object, **options: object) -> np.ndarray:
        part = read(self, *args, **options)
        drawn.append(len(part))
        return part

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    with pytest.raises(AudioTooLong):
        hear(silent_flac(600, 8_000, 1))
    assert drawn == []


def test_an_ordinary_film_claims_no_more_than_it_holds() -> None:
    assert len(hear(film(sound=tones(1.0, 44_100)))) > 15_000


def test_sync_words_without_end_do_not_cost_seconds() -> None:
    head = silent_flac(10, 8_000, 1)[:42]
    outcome, seconds, _ = measure(head + b"\xff\xf8\xc9\x18\x00\x00" * 1_000_000)
    assert outcome == "corrupt_audio"
    assert seconds < MOST_SECONDS


LOADS = {  # bodies of 6 MB that are nothing but the smallest parts that their container has
    "WAV chunks": lambda: b"RIFF\xff\xff\xff\xffWAVE" + bytes(6_000_000),
    "AIFF chunks": lambda: b"FORM\xff\xff\xff\xffAIFF" + bytes(6_000_000),
    "MP4 tables": lambda: b"\0\0\0\x08ftyp\0\0\0\0moov" + (b"stsc" + bytes(7) + b"\1" + bytes(4)) * 375_000,
    "WebM elements": lambda: b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff" + b"\xec\x80" * 3_000_000,
    "Ogg pages": lambda: (b"OggS\0" + bytes(22)) * 220_000,
    "ID3 tags": lambda: b"ID3\x04\0\0\0\0\0\0" * 600_000,
}


@pytest.mark.parametrize("name", LOADS)
def test_a_body_of_nothing_but_headers_costs_no_seconds(name: str) -> None:
    outcome, seconds, mebibytes = measure(LOADS[name]())
    assert isinstance(outcome, str)
    assert seconds < MOST_SECONDS
    assert mebibytes < MOST_MIB


LARGEST = 30_000_000  # bytes, about what the gateway lets in
MP3_FRAME, AAC_FRAME = b"\xff\xf3\x14\xc4" + bytes(20), b"\xff\xf1\x60\x40\x01\x7f\xfc\x01\x18\x20\x07"
SEARCHES = {  # bodies in which a search for the next frame, page, tag or recording finds nothing, and always again
    "MP3: sync words behind frames": lambda: filled(MP3_FRAME * 60, b"\xff\xf3\x14\xc4"),
    "MP3: frames between sync words": lambda: filled(b"", MP3_FRAME + b"\xff\xfb\xe0\x00" * 5),
    "MP3: two of three frames behind junk": lambda: filled(bytes(99), MP3_FRAME * 2 + b"\xff\xf3"),
    "MP3: names of tags": lambda: filled(MP3_FRAME * 60, b"TAG"),
    "MP3: headers of tags": lambda: filled(MP3_FRAME * 60, b"ID3\4\0\0\0\0\0\1x"),
    "MP3: Info frames": lambda: filled(MP3_FRAME * 60, MP3_FRAME[:13] + b"Info" + bytes(7)),
    "AAC: sync words behind frames": lambda: filled(AAC_FRAME * 60, b"\xff\xf1\x60\x40"),
    "AAC: every other frame damaged": lambda: filled(AAC_FRAME * 3, AAC_FRAME * 3 + b"\xff\xf1\x60"),
    "AAC: sizes that lie": lambda: filled(AAC_FRAME * 3, AAC_FRAME * 3 + AAC_FRAME[:4] + b"\x02\x7f\xfc"),
    "AMR: first bytes of no frame": lambda: filled(b"#!AMR\n", b"\xff"),
    "AMR: four of five frames": lambda: filled(b"#!AMR\n", b"\x7c" * 4 + b"\xff"),
    "AMR: signatures": lambda: filled(b"#!AMR\n", b"#!AMR\n"),
    "FLAC: signatures": lambda: filled(silent_flac(10, 8_000, 1), b"fLaC\0\0\0\x22"),
    "FLAC: streams of sync words": lambda: filled(
        b"", silent_flac(10, 8_000, 1)[:42] + b"\xff\xf8\xc9\x18\0\0" * 70_000
    ),
    "Ogg: first pages": lambda: filled(b"", b"OggS\0\2" + bytes(21)),
    "Ogg: first and other pages by turns": lambda: filled(
        b"", b"OggS\0\2" + bytes(21) + b"OggS\0\0" + bytes(21)
    ),
    "Ogg: captures of no page": lambda: filled(b"OggS\0\2" + bytes(21), b"OggS"),
    "WebM: elements of no kind by turns": lambda: filled(
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff", b"\xec\x80\x91\x80"
    ),
    "WebM: headers": lambda: filled(b"", b"\x1a\x45\xdf\xa3\x80"),
    "MP4: boxes": lambda: filled(b"\0\0\0\x08ftyp\0\0\0\x08moov", b"\0\0\0\x08free"),
    "MP4: files": lambda: filled(b"", b"\0\0\0\x08ftyp\0\0\0\x08moov"),
    "W64 chunks": lambda: filled(
        bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000") + bytes(24),
        b"junk" + bytes(12) + b"\x18" + bytes(7),
    ),
    "VOC blocks": lambda: filled(b"Creative Voice File\x1a\x1a\0\x0a\1\x29\x11", b"\5\0\0\0"),
    "CAF chunks": lambda: filled(b"caff\0\1\0\0", b"free" + bytes(8)),
    "CAF files": lambda: filled(b"", b"caff\0\1\0\0"),
    "SPHERE fields": lambda: filled(b"NIST_1A\n   65536\n", b"a -i 1\n"),
    "WAV files": lambda: filled(b"", silent_wav(100)),
    "AU files": lambda: filled(b"", b".snd" + struct.pack(">5I", 24, 200, 3, 8_000, 1) + bytes(200)),
}


def filled(head: bytes, part: bytes) -> bytes:
    return head + part * ((LARGEST - len(head)) // len(part))


def silent_wav(samples: int) -> bytes:
    body = io.BytesIO()
    soundfile.write(body, np.zeros(samples, np.int16), 8_000, format="WAV")
    return body.getvalue()


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_costs_no_more_than_the_body_is_long(name: str) -> None:
    outcome, seconds, _ = measure(SEARCHES[name]())
    assert isinstance(outcome, str)
    assert seconds < MOST_SEARCH_SECONDS
