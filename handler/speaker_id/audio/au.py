"""Sun and NeXT audio: six big-endian numbers, a comment, samples (https://en.wikipedia.org/wiki/Au_file_format)."""

from __future__ import annotations

import struct

from speaker_id.audio.layout import check_layout
from speaker_id.audio.media import Media, check_samples, check_size

HEADER = 24  # bytes, without the comment
UNKNOWN = 0xFFFF_FFFF  # the size that a program writes that cannot seek back
LONGEST_SAMPLE = 8  # bytes: 64 bit float


def inspect(data: bytes) -> Media:
    """Check the layout, and that all samples that the header declares were received.

    Raises:
        UnsupportedLayout: from the header.
        TruncatedAudio: fewer bytes than it declares.
    """
    check_size("AU header", HEADER, len(data))
    start, size, _, sampling_rate, channels = struct.unpack_from(">5I", data, 4)
    check_layout(sampling_rate, channels)
    if size == UNKNOWN:
        return Media("AU", "au")
    check_samples("AU data", size, len(data) - start, start, channels * LONGEST_SAMPLE)
    return Media("AU", "au", end=start + size)
