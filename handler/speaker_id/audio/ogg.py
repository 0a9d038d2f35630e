"""Ogg pages: https://datatracker.ietf.org/doc/html/rfc3533#section-6."""

from __future__ import annotations

from collections.abc import Iterator

from speaker_id.audio.media import Media, check_size
from speaker_id.errors import EmptyAudio

HEADER = 27  # bytes before a page's segment table
SNDFILE_CODECS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus"}  # libsndfile fails on FFmpeg's Ogg FLAC


def inspect(data: bytes) -> Media:
    """Choose the reader by the first logical stream, and check that the last page came whole.

    A stream without its end-of-stream page is accepted: live streams have none, and RFC 7845 asks decoders to
    take them. A page cut in its middle is the sign of a lost end.

    Raises:
        EmptyAudio: no page ends a sample (its granule position is 0).
        TruncatedAudio: the last page states more bytes than came.
    """
    end = granule = 0
    for start, size in _pages(data):
        check_size("the last Ogg page", size, len(data) - start)
        granule = max(granule, int.from_bytes(data[start + 6 : start + 14], "little", signed=True))
        end = start + size
    if not granule and end == len(data):
        raise EmptyAudio("Ogg with headers and no samples")
    first = data[HEADER + data[26] :] if len(data) >= HEADER else b""
    for signature, codec in SNDFILE_CODECS.items():
        if first.startswith(signature):
            return Media(f"Ogg {codec}")
    return Media("Ogg", "ogg")


def _pages(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and stated size of each page, up to the end or to where they lose step."""
    start = 0
    while data.startswith(b"OggS", start):
        size = HEADER
        if start + HEADER <= len(data):
            segments = data[start + HEADER : start + HEADER + data[start + 26]]
            size += data[start + 26] + sum(segments)
        yield start, size
        start += size
