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
    """All rows, regardless of the clips' borders: for what looks at one row at a time.

    No chunk is a lone row unless all there is: a product of one row takes another way through the libraries and
    rounds differently, and an answer should not depend on where in a batch its clip lies.
    """
    start = 0
    while start < rows:
        end = start + CHUNK if rows - start > CHUNK + 1 else rows
        yield slice(start, end)
        start = end
