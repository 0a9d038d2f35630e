"""Apple's Core Audio Format: https://developer.apple.com/library/archive/documentation/MusicAudio/Reference/CAFSpec/."""

from __future__ import annotations

import struct

from speaker_id.audio.layout import check_layout
from speaker_id.audio.media import MAX_PARTS, Media, check_samples, check_size
from speaker_id.errors import CorruptAudio

DESCRIPTION = struct.Struct(">d4s5I")  # rate, codec, flags, bytes and frames a packet, channels, bits
FIRST_CHUNK = 8  # bytes of the file's header
HEADER = 12  # bytes of a chunk's
TO_THE_END = -1  # the size of samples that a writer could not seek back for
PADDING = 4096  # samples: priming and filling of AAC and Opus


def inspect(data: bytes) -> Media:
    """Check the layout, and that every chunk was received completely.

    Raises:
        UnsupportedLayout: from the description.
        TruncatedAudio: a chunk declares more bytes than were received.
        CorruptAudio: a needed chunk is missing.
    """
    position, described, samples = FIRST_CHUNK, False, False
    for _ in range(MAX_PARTS):
        if position + HEADER > len(data) or data.startswith(b"caff", position):
            break
        name, size = struct.unpack_from(">4sq", data, position)
        if not name.isascii() or not name.decode().isprintable():
            break  # libsndfile's files end with a zero
        start, received = position + HEADER, len(data) - position - HEADER
        if size == TO_THE_END and name == b"data":
            size = received
        if size < 0:
            raise CorruptAudio(f"CAF chunk {name.decode()!r} declares {size} bytes")
        if name == b"desc" and received >= DESCRIPTION.size:
            rate, _, _, packet, _, channels, _ = DESCRIPTION.unpack_from(data, start)
            check_layout(int(rate) if 0 <= rate < 1e9 else 0, channels)
            described = True
        if name == b"data":
            if not described:
                raise CorruptAudio("CAF without a description before its data")
            # packets of one size are samples; others are listed in a table, and none of them may be truncated
            check_samples("CAF data chunk", size, received, start if packet else 0, packet)
            samples = True
        else:
            check_size(f"CAF chunk {name.decode()!r}", size, received)
        position = start + size
    if not samples:
        raise CorruptAudio("CAF without a data chunk")
    return Media("CAF", "caf", end=position, padding=PADDING)
