"""Clips → groups of bounded audio-seconds, each of which is one request."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise

from speaker_id.clip import Clip, EncodedAudio
from speaker_id.settings import Settings

# A group is this part of a micro-batch. Too high: a clip that arrives then waits for a longer group. Too low: a
# group does not keep the processor busy, and each costs a request.
GROUPS_A_MICRO_BATCH = 2
# Of a compressed clip, whose length is not known before it is decoded: 32 kbit/s. Too high: groups of more seconds.
# Too low: of fewer.
COMPRESSED_BYTES_A_SECOND = 4_000
HEAD_BYTES = 42  # of a file, which hold what its length is computed from


def group_seconds(settings: Settings) -> float:
    """Return the most audio of a group, in seconds."""
    return min(settings.max_batch_audio_seconds / GROUPS_A_MICRO_BATCH, settings.max_request_seconds)


def cut(clips: Sequence[Clip], settings: Settings) -> Iterator[range]:
    """Yield the clips of each group, in order: as few groups as fit, all of about the same length.

    A clip that is longer than a group is one of its own.
    """
    ends = list(accumulate(min(estimated_seconds(clip), settings.max_clip_seconds) for clip in clips))
    most = ends[-1] / max(1, math.ceil(ends[-1] / group_seconds(settings)))
    # every clip goes where its middle is
    numbers = [(begin + end) / 2 // most if most else 0.0 for begin, end in pairwise((0.0, *ends))]
    for _, members in groupby(range(len(clips)), key=numbers.__getitem__):
        first, *rest = members
        yield range(first, first + 1 + len(rest))


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
