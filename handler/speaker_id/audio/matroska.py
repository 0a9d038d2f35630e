"""Matroska and WebM elements: RFC 8794 (EBML), RFC 9559 (Matroska)."""

from __future__ import annotations

from speaker_id.audio.media import MAX_PARTS, Media, check_size

DEMUXER = "matroska,webm"
PADDING = 4096  # samples
EBML = b"\x1a\x45\xdf\xa3"  # the header of a file


def inspect(data: bytes) -> Media:
    """Check that every element of a known size was received whole. A second EBML header is another recording.

    What browsers record (MediaRecorder) leaves the segment and its clusters without a size; then their children
    are walked. A stream that ends between two elements is accepted: a live one has no other end.

    Raises:
        TruncatedAudio: an element declares more bytes than were received.
    """
    position, end = 0, None
    for _ in range(MAX_PARTS):
        if position >= len(data):
            break
        if position and data.startswith(EBML, position):
            end = position
            break
        identifier_bytes = _vint_bytes(data[position])
        size_at = position + identifier_bytes
        if not 1 <= identifier_bytes <= 4 or size_at >= len(data):
            break  # not an element: what follows is the demuxer's to judge
        size_bytes = _vint_bytes(data[size_at])
        content = size_at + size_bytes
        if not size_bytes or content > len(data):
            break
        unknown = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(data[size_at:content], "big") & unknown
        if size == unknown:
            position = content
        else:
            check_size("WebM element", size, len(data) - content)
            position = content + size
    return Media("WebM/Matroska", DEMUXER, end=end, padding=PADDING)


def _vint_bytes(first: int) -> int:
    """Length of a variable-size integer, from its first byte; 0 if there is none."""
    return 9 - first.bit_length() if first else 0
