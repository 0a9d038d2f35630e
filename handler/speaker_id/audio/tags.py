"""Tags in and around MPEG audio: ID3v2 (https://id3.org/id3v2.4.0-structure), ID3v1, APE, and Xing or Info frames.

Where recordings are joined end to end, tags are in the middle. A decoder takes them for damage, and may find sync words
in a picture.
"""

from __future__ import annotations

import re

from speaker_id.audio import mpeg
from speaker_id.audio.media import MAX_PARTS, check_size
from speaker_id.errors import CorruptAudio

NOT_ZERO = re.compile(rb"[^\0]")
ID3_HEADER, ID3V1_SIZE, APE_HEADER = 10, 128, 32  # bytes
APE_IS_HEADER = 1 << 29
XING_AT = (13, 21, 36)  # offsets of a Xing or Info header in its frame
MOST_TAGS = 10_000  # occurrences of their names in one body


def after_id3(data: bytes) -> int:
    """Return the offset of what follows ID3v2 tags and their zero padding.

    Raises:
        TruncatedAudio: a tag declares more bytes than were received.
    """
    start = 0
    for _ in range(MAX_PARTS):
        if not data.startswith(b"ID3", start) or start + ID3_HEADER > len(data):
            break
        size = _id3_size(data, start)
        check_size("the ID3 tag", size, len(data) - start)
        start += size
        sound = NOT_ZERO.search(data, start)
        start = sound.start() if sound else len(data)
    return start


def without_tags(data: bytes) -> bytes:
    """Return MPEG audio without the tags after its first frame, and without Xing and Info frames in the middle.

    Raises:
        CorruptAudio: more tags than any recording has.
    """
    kept, end = [], 0
    for at in _names(data):
        tag = _tag(data, at)
        if tag is not None and tag[0] >= end and _may_follow(data, tag[1]):
            kept.append(data[end : tag[0]])
            end = tag[1]
    return b"".join([*kept, data[end:]]) if kept else data


def _names(data: bytes) -> list[int]:
    """Return where tags' names are, in order. Five searches for fixed names cost less than a regular expression."""
    found = []
    for name in (b"ID3", b"TAG", b"APETAGEX", b"Xing", b"Info"):
        at = data.find(name)
        while at >= 0:
            found.append(at)
            if len(found) > MOST_TAGS:
                raise CorruptAudio(f"MPEG audio with more than {MOST_TAGS} tags in its middle")
            at = data.find(name, at + 1)
    return sorted(found)


def _tag(data: bytes, at: int) -> tuple[int, int] | None:
    """Return start and end of the tag whose name is at `at`; None if the name is part of something else."""
    if data.startswith(b"ID3", at) and at + ID3_HEADER <= len(data):
        version, sizes = data[at + 3], data[at + 6 : at + 10]
        return (at, at + _id3_size(data, at)) if 2 <= version <= 4 and max(sizes) < 0x80 else None
    if data.startswith(b"TAG", at):
        return at, at + ID3V1_SIZE
    if data.startswith(b"APETAGEX", at) and at + APE_HEADER <= len(data):
        size = int.from_bytes(data[at + 12 : at + 16], "little")  # of items and footer, without the header
        if int.from_bytes(data[at + 20 : at + 24], "little") & APE_IS_HEADER:
            return at, at + APE_HEADER + size
        return at + APE_HEADER - size, at + APE_HEADER
    for offset in XING_AT:
        holder = mpeg.frame(data, at - offset)
        if holder is not None and holder.xing_at == offset and at > offset:
            return at - offset, at - offset + holder.size
    return None


def _may_follow(data: bytes, end: int) -> bool:
    """Return whether a tag may end there: the recording ends, or a frame, a tag or padding begins."""
    return (
        end >= len(data)
        or data[end] == 0
        or data.startswith((b"ID3", b"TAG", b"APETAGEX"), end)
        or mpeg.frame(data, end) is not None
    )


def _id3_size(data: bytes, start: int) -> int:
    footer = 10 if data[start + 5] & 0x10 else 0
    size = 0
    for byte in data[start + 6 : start + 10]:  # 7 bits a byte, so that no size looks like a sync word
        size = size << 7 | byte & 0x7F
    return ID3_HEADER + size + footer
