"""Every format, whole and with mutated headers, against what FFmpeg makes of it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from speaker_id.errors import RequestError

from tests.unit.handler.audio.ffmpeg_says import ENDED, says
from tests.unit.handler.audio.recordings import FORMATS, hear, recording

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "audio.md").read_text("utf-8")
MUTATIONS = 8  # of each format's header
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0")
SLACK = 0.06  # s; priming that one side keeps
SHORTEST = 0.03  # s


def mutated(name: str) -> Iterator[bytes]:
    """Bodies with one to three numbers or bits of the header changed."""
    draw, whole = random.Random(name), recording(name, 1.0)
    for _ in range(MUTATIONS):
        body = bytearray(whole)
        head = min(len(body), draw.choice([48, 96, 400]))
        for _ in range(draw.randrange(1, 4)):
            at, kind = draw.randrange(head), draw.randrange(3)
            if kind == 0:
                body[at] = draw.randrange(256)
            elif kind == 1:
                body[at] ^= 1 << draw.randrange(8)
            else:
                body[at : at + 4] = draw.choice(EXTREMES)
        yield bytes(body)


@cache
def asked() -> list[tuple[str, bytes, float]]:
    """Every mutated body, and the seconds that FFmpeg decodes of it."""
    bodies = [(name, body) for name in FORMATS for body in mutated(name)]
    return [
        (name, body, seconds)
        for (name, body), seconds in zip(bodies, says([body for _, body in bodies]), strict=True)
    ]


def test_whole_recordings_are_as_long_as_in_ffmpeg() -> None:
    bodies = [recording(name, 1.0) for name in FORMATS]
    for name, body, seconds in zip(FORMATS, bodies, says(bodies), strict=True):
        assert len(hear(body)) / 16_000 == pytest.approx(seconds, abs=SLACK), name


def test_there_are_enough_mutations() -> None:
    cases = asked()
    assert len(cases) == MUTATIONS * len(FORMATS)
    assert f"{len(cases)} in all" in PAGE
    assert sum(seconds > SHORTEST for *_, seconds in cases) >= 200, "of which FFmpeg still decodes so many"


def outcome(body: bytes) -> float | RequestError:
    try:
        return len(hear(body)) / 16_000
    except RequestError as error:
        return error


def test_what_is_heard_is_never_shorter_than_in_ffmpeg() -> None:
    for name, body, seconds in asked():
        heard = outcome(body)
        assert isinstance(heard, RequestError) or seconds == ENDED or heard > seconds - SLACK, name


def test_what_is_refused_here_alone_is_for_a_reason_in_the_documentation() -> None:
    table = re.search(r"<!-- refused -->\n(.*?)<!-- end of refused -->", PAGE, re.DOTALL)
    assert table is not None
    reasons = set(re.findall(r"^\| `(\w+)`", table[1], re.MULTILINE))
    for name, body, seconds in asked():
        heard = outcome(body) if seconds > SHORTEST else None
        assert not isinstance(heard, RequestError) or heard.code in reasons, (name, heard)
