"""Where each clip lies in packed activations, (frames, channels): the clips' rows one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

SMALLEST = 16  # rows: fewer waste a matrix product, and a lone row takes another way through the libraries

Spans = Sequence[slice]  # each clip's rows


def spans(frames: Iterable[int], start: int = 0) -> Spans:
    """Clips of so many frames each, laid end to end."""
    return [slice(*ends) for ends in pairwise(accumulate(frames, initial=start))]


def cut(rows: slice, largest: int, threads: int = 1, smallest: int = SMALLEST) -> Spans:
    """Rows → pieces of equal size (but for one row), at most `largest` each, as many as keep all threads busy.

    No piece is a lone row unless all there is: the libraries multiply one row by other code, which rounds
    differently, and an answer should not depend on where in a batch its clip lies.
    """
    length = rows.stop - rows.start
    count = -(-length // largest)
    count = -(-count // threads) * threads
    count = max(1, min(count, length // smallest))
    size, longer = divmod(length, count)
    return spans([size + (index < longer) for index in range(count)], rows.start)
