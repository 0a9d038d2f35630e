"""Clips → groups of bounded audio-seconds, each of which is one request."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import accumulate, count, groupby, pairwise

from speaker_id.clip import Clip, EncodedAudio
from speaker_id.settings import Settings

# A group is this part of a micro-batch. Too high: a clip that arrives then waits for a longer group. Too low: a
# group does not keep the processor busy, and each costs a request.
GROUPS_A_MICRO_BATCH = 4
# Of a compressed clip, whose length is not known before it is decoded: 32 kbit/s. Too high: groups of more seconds.
# Too low: of fewer.
COMPRESSED_BYTES_A_SECOND = 4_000
HEAD_BYTES = 42  # of a file, which hold what its length is computed from


def group_seconds(settings: Settings) -> float:
    """Return the most audio of a group, in seconds."""
    return min(settings.max_batch_audio_seconds / GROUPS_A_MICRO_BATCH, settings.max_request_seconds)


def cut(clips: Sequence[Clip], settings: Settings) -> list[range]:
    """Return the clips of each group, in order: few groups, all of about the same length, none above `group_seconds`.

    A clip that is longer than that is a group of its own.
    """
    if not clips:
        return []
    most = group_seconds(settings)
    ends = [0.0, *accumulate(min(estimated_seconds(clip), settings.max_clip_seconds) for clip in clips)]
    fewest = max(1, math.ceil(ends[-1] / most))
    # where clips are long beside a group, parts of equal length do not fall between clips, and more of them are needed
    return next(
        found
        for found in (_shared(ends, number) for number in count(fewest))
        if all(len(each) == 1 or ends[each.stop] - ends[each.start] <= most for each in found)
    )


def _shared(ends: Sequence[float], number: int) -> list[range]:
    """The clips of that many parts of equal length, of which each clip goes where its middle is."""
    part = ends[-1] / number
    parts = [(begin + end) / 2 // part if part else 0.0 for begin, end in pairwise(ends)]
    found = []
    for _, members in groupby(range(len(parts)), key=parts.__getitem__):
        first, *rest = members
        found.append(range(first, first + 1 + len(rest)))
    return found


def estimated_seconds(clip: Clip) -> float:
    """Return how long a clip is: what it says itself where that is easily read, otherwise an estimate by its size."""
    if not isinstance(clip, EncodedAudio):
        return float(clip.samples.shape[-1] / clip.sampling_rate)
    size = len(clip.data)
    return stated_seconds(bytes(clip.data[:HEAD_BYTES]), size) or size / COMPRESSED_BYTES_A_SECOND


def stated_seconds(head: bytes, size: int) -> float | None:
    """Return how long a file says it is; None where that is not easily read.

    Args:
        head: its first HEAD_BYTES.
        size: bytes of all of it.
    """
    if head[:4] == b"RIFF" and head[12:16] == b"fmt " and len(head) == HEAD_BYTES:
        _, channels, rate, stated, _, bits = struct.unpack("<HHIIHH", head[20:36])
        # no decoder reads the bytes a second, so they may be wrong: of both, the length that is longer
        if found := [each for each in (stated, rate * channels * bits / 8) if each]:
            return float(size / min(found))
    if head[:4] == b"fLaC" and len(head) == HEAD_BYTES:
        # STREAMINFO (RFC 9639, section 8.2): 20 bits of the sampling rate, 3 and 5 of others, 36 of the samples
        packed = int.from_bytes(head[18:26], "big")
        rate, samples = packed >> 44, packed & (1 << 36) - 1
        if rate and samples:
            return samples / rate
    return None
