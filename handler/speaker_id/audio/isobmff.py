"""MP4, M4A, MOV and 3GP boxes: ISO/IEC 14496-12."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from speaker_id.audio.media import Media, check_size
from speaker_id.errors import CorruptAudio, TruncatedAudio

DEMUXER = "mov,mp4,m4a,3gp,3g2,mj2"
PADDING = 4096  # samples: priming and filling of a 2048-sample HE-AAC frame

PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"}
ENTRY_BYTES = {b"stts": 8, b"ctts": 8, b"stss": 4, b"stsc": 12, b"stco": 4, b"co64": 8}


class Box(NamedTuple):
    kind: bytes
    start: int  # of the content
    size: int  # of the content, as stated


def inspect(data: bytes) -> Media:
    """Check that every box came whole, that there is an index, and that it counts no more than it can hold.

    FFmpeg allocates an index of as many samples as the tables claim, so a claim is held against the body first.

    Raises:
        TruncatedAudio: a box states more bytes than came, or the index is missing.
        CorruptAudio: a table counts more samples or entries than the body can hold.
    """
    samples = 0
    kinds = set()
    for box in boxes(data, 0, len(data)):
        check_size(f"MP4 box {box.kind!r}", box.size, len(data) - box.start)
        kinds.add(box.kind)
        samples += _claimed_samples(data, box, 0)
    if b"moov" not in kinds:
        raise TruncatedAudio(
            f"MP4 without its index (a 'moov' box) in {len(data)} bytes: send the whole file"
        )
    if samples > len(data):
        raise CorruptAudio(f"MP4 index of {samples} samples in {len(data)} bytes")
    return Media("MP4", DEMUXER, padding=PADDING)


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets; the last may state more than there is."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1 and start + 16 <= end:
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif size == 0:  # to the end of the file: a writer that cannot seek back
            size = end - start
        if size < header:
            return
        yield Box(kind, start + header, size - header)
        start += size


def _claimed_samples(data: bytes, box: Box, depth: int) -> int:
    """Samples, or bytes if they are all of one size, that the tables under this box claim."""
    if box.kind in PARENTS and depth <= len(PARENTS):
        children = boxes(data, box.start, min(box.start + box.size, len(data)))
        return sum(_claimed_samples(data, child, depth + 1) for child in children)
    if box.kind in ENTRY_BYTES and box.size >= 8:
        entries = struct.unpack_from(">I", data, box.start + 4)[0]
        if entries * ENTRY_BYTES[box.kind] > box.size - 8:
            raise CorruptAudio(f"MP4 table {box.kind!r} of {entries} entries in {box.size} bytes")
    if box.kind == b"stsz" and box.size >= 12:
        sample_size, count = struct.unpack_from(">II", data, box.start + 4)
        return int(count) * max(1, int(sample_size))
    if box.kind == b"stz2" and box.size >= 12:
        return int(struct.unpack_from(">I", data, box.start + 8)[0])
    if box.kind == b"trun" and box.size >= 8:
        return int(struct.unpack_from(">I", data, box.start + 4)[0])
    return 0
