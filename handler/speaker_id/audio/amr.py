"""AMR and AMR-WB as files have them: a frame's first byte says its mode, and so its size (RFC 4867, section 5)."""

from __future__ import annotations

import re

from speaker_id.audio.framing import follow
from speaker_id.audio.media import Media

FRAME_SECONDS = 0.02
CHAIN = 5  # frames; by chance one byte in twelve looks like the first of one
# Bytes of a frame by mode, its first byte included; 0 for the modes that are reserved.
SIZES = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1),
}
MAGIC = re.compile(b"|".join(SIZES))
PADDING_BITS = 0x83  # of a frame's first byte: all zero


def inspect(data: bytes) -> Media:
    """Leave out the frames whose first byte is damaged. A second signature starts another recording.

    Raises:
        CorruptAudio: so much is damaged that no next frame is found.
    """
    magic = MAGIC.match(data)
    assert magic is not None
    start = magic.end()
    behind = MAGIC.search(data, start)
    stream = data[: behind.start()] if behind else data
    modes = SIZES[magic[0]]
    sizes = tuple(0 if first & PADDING_BITS else modes[first >> 3] for first in range(256))
    framed = follow(
        stream, start, lambda at: sizes[stream[at]], lambda first: range(first, len(stream)), CHAIN
    )
    return Media(
        "AMR",
        "amr",
        data=framed.data,
        end=behind.start() if behind else None,
        elementary=True,
        skipped_frames=framed.skipped,
        first_skipped=framed.first * FRAME_SECONDS,
    )
