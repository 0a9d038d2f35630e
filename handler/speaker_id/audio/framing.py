"""Walk from frame to frame through a stream without a container, and go on after damage.

FFmpeg's demuxers for AMR and ADTS go on too, but then decode noise, or lose frames without an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from speaker_id.audio.media import MAX_PARTS
from speaker_id.errors import CorruptAudio

# Offsets in one recording that are tried, in Python, for a next frame.
MOST_TRIES = 1 << 16
NOT_ZERO = re.compile(rb"[^\0]")


class Framed(NamedTuple):
    """A stream reduced to its frames.

    Attributes:
        data: its frames.
        skipped: how many are missing, by their usual size.
        first: frames before the first that is missing.
    """

    data: bytes
    skipped: int
    first: int


def follow(
    data: bytes,
    start: int,
    size_at: Callable[[int], int],
    candidates: Callable[[int], Iterable[int]],
    chain: int,
) -> Framed:
    """Follow the frames that begin at `start`.

    Args:
        data: the stream.
        start: of the first frame; what precedes it is kept.
        size_at: bytes of the frame at an offset; 0 if there is none.
        candidates: offsets from a given one on where a frame may begin.
        chain: frames that must follow each other after damage.

    Raises:
        CorruptAudio: so much is damaged that no next frame is found.
    """

    def is_chain(at: int) -> bool:
        for number in range(chain):
            if at >= len(data):
                return number > 0
            size = size_at(at)
            if not size:
                return False
            at += size
        return True

    kept: list[bytes] = []
    keep_from = frames = skipped = first = tries = 0
    at = before = start
    while at < len(data) and frames < MAX_PARTS:
        size = size_at(at)
        if size:
            before, at, frames = at, at + size, frames + 1
            continue
        end = len(data)
        for candidate in candidates(before + 1):
            tries += 1
            if tries > MOST_TRIES:
                raise CorruptAudio(f"the stream is damaged from byte {at} on: no further frame was found")
            if is_chain(candidate):
                end = candidate
                break
        usual = max(1.0, (before - start) / max(1, frames))
        if end < at:  # the frame before was shorter than it declared
            at, frames = before, frames - 1
        lost = (end - at) / usual
        if end < len(data):
            lost = max(1, round(lost))
        elif NOT_ZERO.search(data, at) is None:
            lost = 0  # padding
        if lost >= 1 and not skipped:
            first = frames
        skipped += int(lost)
        kept.append(data[keep_from:at])
        keep_from = at = before = end
    return Framed(b"".join([*kept, data[keep_from:]]) if kept else data, skipped, first)
