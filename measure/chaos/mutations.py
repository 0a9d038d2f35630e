"""Damaged audio of every format, and small bodies that unpack into large ones."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
import zlib
from functools import cache, partial

import numpy as np

from bundle.samples import samples
from measure.chaos.recordings import FORMATS, by_libsndfile, recording

SECONDS = 0.4  # of a recording: enough for frames, and quick to make
EXTREMES = [number.to_bytes(4, "big") for number in (0, 2**32 - 1, 2**31 - 1, 0xFFFFFF7F, 1, 1 << 24)]
FLIPS = 40  # bits, at most
ZEROS = 64 << 20  # bytes that a bomb unpacks into
SILENCE = {("FLAC", "PCM_16"): 3600, ("OGG", "OPUS"): 300}  # seconds in an audio bomb; 120 are allowed


@cache
def whole() -> tuple[bytes, ...]:
    """One recording of every format, and the demo's samples."""
    made = (recording(name, SECONDS) for name in FORMATS)
    return (*made, *(sample.path.read_bytes() for sample in samples()))


def clip(draw: random.Random) -> bytes:
    return draw.choice(whole())


def truncated(draw: random.Random) -> bytes:
    content = clip(draw)
    return content[: draw.randrange(len(content))]


def flipped(draw: random.Random) -> bytes:
    content = bytearray(clip(draw))
    for _ in range(draw.randrange(1, FLIPS)):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def overwritten(draw: random.Random) -> bytes:
    """Extreme numbers where the container keeps its sizes and counts."""
    content = bytearray(clip(draw))
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(min(len(content), draw.choice((64, 200, 1000))))
        content[at : at + 4] = draw.choice(EXTREMES)
    return bytes(content)


def spliced(draw: random.Random) -> bytes:
    first, second = clip(draw), clip(draw)
    return first[: draw.randrange(len(first))] + second[draw.randrange(len(second)) :]


def noise(draw: random.Random) -> bytes:
    return draw.randbytes(draw.choice((0, 1, 3, 44, 400, 5_000)))


def bomb(draw: random.Random) -> bytes:
    return draw.choice(bombs())


@cache
def bombs() -> tuple[bytes, ...]:
    """Archives of zeros, in each other too, and long silence in a few kilobytes."""
    zeros = bytes(ZEROS)
    inner = zipped(zeros)
    audio = [
        by_libsndfile(*form, np.zeros((1, seconds * 8000), np.float32), 8000)
        for form, seconds in SILENCE.items()
    ]
    return (inner, zipped(inner * 20), gzip.compress(zeros, 9, mtime=0), zlib.compress(zeros, 9), *audio)


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # ZipInfo's own date: the clock's would make other bytes each time
        archive.writestr(zipfile.ZipInfo("clip.wav"), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def compressed(draw: random.Random) -> tuple[str, bytes]:
    """An encoding, and a bomb or a clip in it, whole or cut short."""
    how = draw.choice(("gzip", "deflate"))
    pack = partial(gzip.compress, mtime=0) if how == "gzip" else zlib.compress  # no clock: seeds decide
    content = pack(draw.choice((clip(draw), bytes(ZEROS // 16))))
    return how, content[: draw.randrange(len(content))] if draw.random() < 0.3 else content
