"""Ogg pages: https://datatracker.ietf.org/doc/html/rfc3533#section-6."""

from __future__ import annotations

import re
from collections.abc import Iterator

from speaker_id.audio.media import MAX_PARTS, Media, check_size
from speaker_id.errors import CorruptAudio

HEADER = 27  # bytes before a page's segment table
SNDFILE_CODECS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus"}  # libsndfile fails on FFmpeg's Ogg FLAC
PAGE = re.compile(rb"OggS\0([\0-\7])", re.DOTALL)  # signature, version and flags
FIRST_OF_STREAM = 2
MOST_STRAY = 1000  # signatures without a page, each of which costs FFmpeg a search


def inspect(data: bytes) -> Media:
    """Choose the reader by the first logical stream, and check that the last page was received whole.

    One link of a chain (RFC 3533, section 4) is inspected: it ends where streams begin after pages of content, whether
    serial numbers differ or not. libsndfile would read the first link and ignore the others.

    A stream without its end-of-stream page is accepted: live streams have none, and RFC 7845 asks decoders to
    take them. A truncated last page shows that the end was lost.

    A link in which no page ends a sample (its granule position is 0) is empty.

    Raises:
        TruncatedAudio: the last page declares more bytes than were received.
        CorruptAudio: more pages, or signatures of pages, than any recording has.
    """
    next_link, pages = _next_link(data)
    link = data if next_link is None else data[:next_link]
    if link.count(b"OggS") > 2 * pages + MOST_STRAY:
        raise CorruptAudio(f"Ogg with {pages} pages and more than {MOST_STRAY} page signatures outside them")
    end = granule = 0
    for start, size in _pages(link):
        check_size("the last Ogg page", size, len(link) - start)
        granule = max(granule, int.from_bytes(link[start + 6 : start + 14], "little", signed=True))
        end = start + size
    if not granule and end == len(link):
        return Media("Ogg", end=next_link, empty=True)
    first = link[HEADER + link[26] :] if len(link) >= HEADER else b""
    for signature, codec in SNDFILE_CODECS.items():
        if first.startswith(signature):
            return Media(f"Ogg {codec}", end=next_link or end)
    return Media("Ogg", "ogg", end=next_link or end)


def _next_link(data: bytes) -> tuple[int | None, int]:
    """Return where the next link of a chain begins, None if this is the last, and how many pages this one has."""
    content, number = False, -1
    for number, page in enumerate(PAGE.finditer(data)):
        if number >= MAX_PARTS:
            raise CorruptAudio(f"Ogg with more than {MAX_PARTS} pages")
        first = bool(page[1][0] & FIRST_OF_STREAM)
        if first and content:
            return page.start(), number
        content = content or not first
    return None, number + 1


def _pages(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and declared size of each page, up to the end or to the first that is not where it should be."""
    start = 0
    while data.startswith(b"OggS", start):
        size = HEADER
        if start + HEADER <= len(data):
            segments = data[start + HEADER : start + HEADER + data[start + 26]]
            size += data[start + 26] + sum(segments)
        yield start, size
        start += size
