"""MP4, M4A, MOV and 3GP boxes: ISO/IEC 14496-12."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from speaker_id.audio.media import MAX_PARTS, Media, check_size
from speaker_id.errors import CorruptAudio, TruncatedAudio

DEMUXER = "mov,mp4,m4a,3gp,3g2,mj2"
PADDING = 4096  # samples: priming and filling of HE-AAC's frames of 2048

TOP_LEVEL = frozenset(
    b"ftyp styp moov moof mfra mdat free skip wide pnot udta uuid meta sidx ssix prft emsg pdin".split()
)


class Box(NamedTuple):
    kind: bytes
    start: int  # of the content
    size: int  # of the content, as declared


def inspect(data: bytes) -> Media:
    """Check that every top-level box was received whole, and that there is an index.

    A false claim in the index costs no more than the decoder process's memory limit: FFmpeg allocates it at once.

    QuickTime's older files have no `ftyp`; a second `ftyp` after an index starts another recording.

    Raises:
        TruncatedAudio: a box declares more bytes than were received, or the index is missing.
        CorruptAudio: there are two indexes, or more boxes than any recording has.
    """
    kinds = set()
    end = None
    for number, box in enumerate(_top_level(data)):
        if number == MAX_PARTS:
            raise CorruptAudio(f"MP4 of more than {MAX_PARTS} boxes")
        if box.kind == b"ftyp" and b"moov" in kinds:
            end = box.start - 8
            break
        if box.kind == b"moov" and b"moov" in kinds:
            raise CorruptAudio(
                "MP4 with two indexes ('moov' boxes): send one recording, or several that each begin with 'ftyp'"
            )
        check_size(f"MP4 box {box.kind.decode()!r}", box.size, len(data) - box.start)
        kinds.add(box.kind)
    if b"moov" not in kinds:
        raise TruncatedAudio(
            f"MP4 without its index (a 'moov' box) in {len(data)} bytes: send the complete file"
        )
    return Media("MP4", DEMUXER, end=end, padding=PADDING)


def _top_level(data: bytes) -> Iterator[Box]:
    """Yield the file's boxes while their kinds are known, then what remains as one box without a kind."""
    start = 0
    while start + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1 and start + 16 <= len(data):
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif size == 0:  # to the end of the file: a writer that could not seek back
            size = len(data) - start
        if size < header or kind not in TOP_LEVEL:
            break
        yield Box(kind, start + header, size - header)
        start += size
    yield Box(b"", start, max(0, len(data) - start))
