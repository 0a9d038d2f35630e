"""Sony Wave64: WAV with GUIDs for names and 64 bits for sizes (https://www.ambisonia.com/Members/mleese/sony_wave64.pdf)."""

from __future__ import annotations

import struct

from speaker_id.audio.layout import check_layout
from speaker_id.audio.media import MAX_PARTS, Media, check_samples, check_size
from speaker_id.errors import CorruptAudio

HEADER = 24  # bytes of a chunk: a GUID, and the size, which includes them
FIRST_CHUNK = 40  # after riff's header and wave's GUID


def inspect(data: bytes) -> Media:
    """Check the layout, and that every chunk up to the samples was received completely.

    Raises:
        UnsupportedLayout: from the format chunk.
        TruncatedAudio: a chunk declares more bytes than were received.
        CorruptAudio: a needed chunk is missing.
    """
    position, sample_frame = FIRST_CHUNK, 0
    for _ in range(MAX_PARTS):
        if position + HEADER > len(data):
            break
        name, size = data[position : position + 4], struct.unpack_from("<Q", data, position + 16)[0] - HEADER
        start, received = position + HEADER, len(data) - position - HEADER
        if name == b"data":
            if not sample_frame:
                raise CorruptAudio("W64 without a format chunk before its data")
            check_samples("W64 data chunk", size, received, start, sample_frame)
            return Media("W64", "w64", end=(start + size + 7) & ~7)
        if size < 0:
            break
        check_size(f"W64 chunk {name.decode('ascii', 'replace')!r}", size, received)
        if name == b"fmt " and size >= 16:
            _, channels, sampling_rate, _, sample_frame = struct.unpack_from("<HHIIH", data, start)
            check_layout(sampling_rate, channels)
            sample_frame = max(1, sample_frame)
        position = (start + size + 7) & ~7
    check_size(
        "W64 header", struct.unpack_from("<Q", data[:FIRST_CHUNK].ljust(FIRST_CHUNK, b"\0"), 16)[0], len(data)
    )
    raise CorruptAudio("W64 without a data chunk")
