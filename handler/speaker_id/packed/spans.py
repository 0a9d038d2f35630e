"""Where each clip lies in packed activations, (frames, channels): the clips' rows one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

CHUNK = 256  # rows that a matrix product works on: enough to run at full speed, few enough to stay in cache

Spans = Sequence[slice]  # each clip's rows


def spans(frames: Iterable[int]) -> Spans:
    """Clips of so many frames each, laid end to end."""
    return [slice(start, end) for start, end in pairwise(accumulate(frames, initial=0))]


def chunks(rows: int) -> Iterator[slice]:
    """All rows, regardless of the clips' borders: for what looks at one row at a time."""
    return (slice(start, min(start + CHUNK, rows)) for start in range(0, rows, CHUNK))
