"""Matroska and WebM elements: RFC 8794 (EBML), RFC 9559 (Matroska)."""

from __future__ import annotations

import re

from speaker_id.audio.media import MAX_PARTS, Media, check_size
from speaker_id.errors import CorruptAudio

DEMUXER = "matroska,webm"
PADDING = 4096  # samples
SEGMENT, CLUSTER = bytes.fromhex("18538067"), bytes.fromhex("1f43b675")
# the header, a segment and its parts, a cluster's parts, padding and checksum
NAMES = """
1a45dfa3 18538067 114d9b74 1549a966 1654ae6b 1f43b675 1c53bb6b 1043a770 1941a469 1254c367 a3 a0 e7 ab a7 af 5854 ec bf
"""
ELEMENTS = frozenset(bytes.fromhex(name) for name in NAMES.split())
NOT_ZERO = re.compile(rb"[^\0]")
EBML = b"\x1a\x45\xdf\xa3"  # the header of a file


def inspect(data: bytes) -> Media:
    """Check that every element was received whole, and that nothing in between is damaged.

    Segments and clusters are entered whether they declare a size or not: browsers' recordings (MediaRecorder) do not.
    A stream that ends between two elements is accepted: a live one has no other end. After damage FFmpeg continues at
    the next cluster without an error. A second EBML header starts another recording.

    Raises:
        TruncatedAudio: an element declares more bytes than were received.
        CorruptAudio: what is between two elements is not an element.
    """
    position, end, known, segment_end = 0, None, True, len(data)
    for _ in range(MAX_PARTS):
        if position >= segment_end and not data.startswith(EBML, position):
            break  # what follows a segment of known size is not part of it
        if position and data.startswith(EBML, position):
            end = position
            break
        identifier_bytes = _vint_bytes(data[position])
        size_at = position + identifier_bytes
        if size_at >= len(data):
            break  # a truncated header
        size_bytes = _vint_bytes(data[size_at])
        content = size_at + size_bytes
        if content > len(data):
            break
        identifier = data[position:size_at]
        known, before = identifier in ELEMENTS, known
        if not data[position] and NOT_ZERO.search(data, position) is None:
            break  # padding
        unknown = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(data[size_at:content], "big") & unknown
        # one unknown element may be an extension; two in a row are not elements
        possible = 1 <= identifier_bytes <= 4 and size_bytes and size <= len(data) - content
        if not known and not (before and possible):
            raise CorruptAudio(
                f"WebM/Matroska content cannot be decoded: no element begins at byte {position}"
            )
        position = content
        if size != unknown:
            check_size("WebM element", size, len(data) - content)
            segment_end = content + size if identifier == SEGMENT else segment_end
            position += 0 if identifier in (SEGMENT, CLUSTER) else size
    return Media("WebM/Matroska", DEMUXER, end=end, padding=PADDING)


def _vint_bytes(first: int) -> int:
    """Length of a variable-size integer, from its first byte; 0 if there is none."""
    return 9 - first.bit_length() if first else 0
