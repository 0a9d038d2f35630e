"""What is decoded without a decoder is decoded exactly as a decoder would, and nothing else is."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from speaker_id import audio
from speaker_id.clip import Clip, EncodedAudio, RawAudio, Waveform
from speaker_id.decoders import Decoders, plain
from speaker_id.errors import AudioTooLong, AudioTooShort, RequestError

SAMPLES = sorted((Path(__file__).resolve().parents[4] / "models" / "demo" / "samples").glob("*.flac"))
RATE, MAX_SECONDS, MIN_SAMPLES = 16000, 120.0, 400
LIMITS: Any = {"sampling_rate": RATE, "max_seconds": MAX_SECONDS, "min_samples": MIN_SAMPLES}
HEADER = 44  # bytes


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16", container: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def decode(body: bytes | bytearray) -> Waveform | None:
    samples = plain.samples_of(EncodedAudio(body), **LIMITS)
    return None if samples is None else plain.decode(samples)


def decoded_there(body: bytes) -> Waveform | None:
    """What a decoder process makes of it; None for an error."""
    try:
        return audio.decode(EncodedAudio(body), **LIMITS).waveform
    except RequestError:
        return None


EVERY = np.arange(-32768, 32768).astype(np.int16)
PLAIN = wav(EVERY[::100])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_recording_is_bit_for_bit_what_a_decoder_gives(path: Path) -> None:
    samples, _ = soundfile.read(path, dtype="int16")
    body = wav(samples)
    here, there = decode(body), decoded_there(body)
    assert here is not None
    assert there is not None
    assert (here.dtype, here.flags.c_contiguous, here.flags.writeable) == (np.float32, True, True)
    assert here.tobytes() == there.tobytes()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_value_of_a_sample_is_what_a_decoder_gives(kind: Callable[[bytes], bytes]) -> None:
    body = wav(EVERY)
    here, there = decode(kind(body)), decoded_there(body)
    assert here is not None
    assert there is not None
    assert here.tobytes() == there.tobytes()


def test_no_changed_header_is_taken_for_another_than_a_decoder_takes_it_for() -> None:
    rng = np.random.default_rng(0)
    bodies = [PLAIN[:end] for end in (*range(HEADER + 3), len(PLAIN) - 1, len(PLAIN) - 2)]
    bodies += [PLAIN + more for more in (b"\0", b"\0\0", b"LIST\4\0\0\0INFO", PLAIN)]
    for at in range(HEADER):
        for value in {0, 1, 2, 3, 24, 128, 255, PLAIN[at] + 1 & 255, PLAIN[at] - 1 & 255} - {PLAIN[at]}:
            bodies.append(PLAIN[:at] + bytes([value]) + PLAIN[at + 1 :])
    for _ in range(500):
        changed = bytearray(PLAIN)
        for at in rng.integers(0, HEADER, rng.integers(1, 4)):
            changed[at] = rng.integers(0, 256)
        bodies.append(bytes(changed))
    taken = 0
    for body in bodies:
        here = decode(body)
        if here is not None:
            taken += 1
            there = decoded_there(body)
            assert there is not None
            assert here.tobytes() == there.tobytes()
    assert taken < 5  # a draw may leave the header as it was


def test_sizes_that_agree_are_taken_whatever_the_length() -> None:
    for samples in (MIN_SAMPLES, MIN_SAMPLES + 1, 12345):
        body = wav(EVERY[:samples])
        here, there = decode(body), decoded_there(body)
        assert here is not None
        assert there is not None
        assert here.tobytes() == there.tobytes()


@pytest.mark.parametrize(
    "clip",
    [
        EncodedAudio(wav(EVERY, rate=8000)),
        EncodedAudio(wav(EVERY.reshape(-1, 2))),
        EncodedAudio(wav(EVERY / 32768, subtype="FLOAT")),
        EncodedAudio(wav(EVERY, subtype="PCM_24")),
        EncodedAudio(wav(EVERY, subtype="PCM_U8")),
        EncodedAudio(wav(EVERY, container="WAVEX")),
        EncodedAudio(wav(EVERY, container="RF64")),
        EncodedAudio(SAMPLES[0].read_bytes()),
        EncodedAudio(b""),
        RawAudio(np.zeros(16000, np.float32), RATE),
    ],
    ids=["rate", "stereo", "float", "24-bit", "8-bit", "extensible", "rf64", "flac", "empty", "raw"],
)
def test_everything_else_needs_a_decoder(clip: Clip) -> None:
    assert plain.samples_of(clip, **LIMITS) is None


def test_limits_are_told_in_the_decoders_words() -> None:
    decoders = Decoders(1, sampling_rate=RATE, max_seconds=1.0).ready()
    whole = EncodedAudio(wav(EVERY[:RATE]))
    assert len(decoders.decode(whole, min_samples=MIN_SAMPLES, cpu_seconds=5.0).waveform) == RATE
    with pytest.raises(AudioTooLong, match="the limit is 1 s"):
        decoders.decode(EncodedAudio(wav(EVERY[: RATE + 1])), min_samples=MIN_SAMPLES, cpu_seconds=5.0)
    with pytest.raises(AudioTooShort, match=r"at least 25 ms"):
        decoders.decode(EncodedAudio(wav(EVERY[: MIN_SAMPLES - 1])), min_samples=MIN_SAMPLES, cpu_seconds=5.0)
    decoders.close()


def test_it_waits_for_no_decoder() -> None:
    decoders = Decoders(1, sampling_rate=RATE, max_seconds=10.0).ready()
    busy = decoders._idle.get()
    clip = EncodedAudio(PLAIN)
    assert decoders.is_plain(clip, min_samples=MIN_SAMPLES)
    assert len(decoders.decode(clip, min_samples=MIN_SAMPLES, cpu_seconds=5.0).waveform) == len(EVERY[::100])
    decoders._idle.put(busy)
    decoders.close()


def test_the_header_is_the_one_that_writers_of_wav_write() -> None:
    assert plain.HEADER.size == HEADER
    assert struct.unpack_from("<I", PLAIN, 40) == (len(PLAIN) - HEADER,)
