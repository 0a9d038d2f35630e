"""Whatever the bytes: a finite waveform within the limits or a request error; no noise, no hang, no other outcome."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speaker_id.audio.media import MediaBytes
from speaker_id.errors import CorruptAudio, RequestError, TruncatedAudio

from tests.unit.handler.audio.recordings import FORMATS, hear, recording

MAX_SECONDS = 5.0
EXTREMES = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\1",
    b"\1\0\0\0",
)
SIGNATURES = [
    b"RIFF\xff\xff\xff\xffWAVEfmt ",
    b"RIFX\0\0\0\0WAVE",
    b"RF64\xff\xff\xff\xffWAVEds64",
    b"FORM\0\0\1\0AIFF",
    b"FORM\0\0\1\0AIFC",
    b"fLaC\0\0\0\x22",
    b"OggS\0\2",
    b"\0\0\0\x18ftypM4A ",
    b"\x1a\x45\xdf\xa3",
    b"#!AMR\n",
    b"#!AMR-WB\n",
    b"\xff\xfb\x90\x00",
    b"\xff\xf1\x50\x80",
    b"ID3\4\0\0\0\0\0\0",
    b"BW64\xff\xff\xff\xffWAVEds64",
    bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000"),
    b".snd\0\0\0\x18",
    b"NIST_1A\n   1024\nsample_rate -i 8000\n",
    b"Creative Voice File\x1a\x1a\0",
    b"caff\0\1\0\0desc\0\0\0\0\0\0\0\x20",
    b"\0\0\0\x08wide\0\0\0\x40moov",
    b"\xff\xfd\x80\x04",
    b"",
]


def outcome(data: bytes) -> np.ndarray | RequestError:
    try:
        return hear(data, max_seconds=MAX_SECONDS)
    except RequestError as error:
        return error


def check(data: bytes) -> None:
    waveform = outcome(data)
    if isinstance(waveform, RequestError):
        assert waveform.message
        return
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert waveform.flags.c_contiguous
    assert 400 <= len(waveform) <= MAX_SECONDS * 16_000 + 1
    assert np.isfinite(waveform).all()


def damaged(whole: bytes, draw: random.Random) -> bytes:
    body = bytearray(whole)
    at = draw.randrange(len(body))
    head = min(len(body), draw.choice([64, 200, 1000]))
    kind = draw.randrange(6)
    if kind == 0:
        del body[at:]
    elif kind == 1:
        for _ in range(draw.randrange(1, 20)):
            body[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
    elif kind == 2:
        body[at : at + draw.randrange(1, 400)] = draw.randbytes(draw.randrange(400))
    elif kind == 3:
        for _ in range(draw.randrange(1, 6)):
            body[draw.randrange(head)] = draw.randrange(256)
    elif kind == 4:
        body[at:at] = draw.randbytes(draw.randrange(1, 200))
    else:
        at = draw.randrange(head)
        body[at : at + 4] = draw.choice(EXTREMES)
    return bytes(body)


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_bodies_have_an_outcome_and_make_no_noise(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(name)
    whole = recording(name)
    for _ in range(40):
        check(damaged(whole, draw))
    assert capfd.readouterr() == ("", "")  # nothing from the C libraries either


@pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (2**63 - 1, 1)])
def test_a_seek_that_cannot_be_done_moves_nothing(offset: int, whence: int) -> None:
    body = MediaBytes(b"abcdef")
    body.seek(2)
    assert body.seek(offset, whence) == 2
    assert body.read() == b"cdef"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(signature=st.sampled_from(SIGNATURES), rest=st.binary(max_size=2_000))
def test_arbitrary_bytes_behind_any_signature_have_an_outcome(signature: bytes, rest: bytes) -> None:
    check(signature + rest)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_two_formats_spliced_have_an_outcome(data: st.DataObject) -> None:
    first, second = (RECORDINGS[data.draw(st.sampled_from(sorted(RECORDINGS)))] for _ in range(2))
    check(first[: data.draw(st.integers(0, len(first)))] + second[data.draw(st.integers(0, len(second))) :])


RECORDINGS = {name: recording(name, 0.3) for name in FORMATS}


def test_many_threads_decode_what_one_does() -> None:
    alone = {name: hear(body) for name, body in RECORDINGS.items()}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(hear, list(RECORDINGS.values()) * 6))
    for name, waveform in zip(list(RECORDINGS) * 6, together, strict=True):
        np.testing.assert_array_equal(waveform, alone[name])


def test_threads_that_fail_do_not_disturb_those_that_do_not() -> None:
    good = RECORDINGS["FLAC"]
    bodies = [good, good[: len(good) // 2], RECORDINGS["WAV PCM_16"][:30], b"OggS" + bytes(40)] * 30
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(outcome, bodies))
    kinds = [type(each) for each in outcomes]
    assert kinds[:4] == [np.ndarray, TruncatedAudio, TruncatedAudio, CorruptAudio]
    assert kinds == kinds[:4] * 30
