"""Creative Voice: blocks of a type and a 24 bit size (https://wiki.multimedia.cx/index.php/Creative_Voice)."""

from __future__ import annotations

import struct

from speaker_id.audio.media import MAX_PARTS, Media, check_size

HEADER = 26  # bytes
TERMINATOR = 0  # a block of this type has no size


def inspect(data: bytes) -> Media:
    """Check that every block was received completely.

    Raises:
        TruncatedAudio: a block declares more bytes than were received.
    """
    check_size("VOC header", HEADER, len(data))
    position = struct.unpack_from("<H", data, 20)[0]
    for _ in range(MAX_PARTS):
        if position + 4 > len(data) or data[position] == TERMINATOR:
            break
        size = int.from_bytes(data[position + 1 : position + 4], "little")
        check_size("VOC block", size, len(data) - position - 4)
        position += 4 + size
    return Media("VOC", "voc", end=position + 1)
