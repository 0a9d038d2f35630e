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


def even(rows: slice, largest: int, threads: int = 1, step: int = 1) -> Spans:
    """As `cut`, but all pieces but the last have a multiple of `step` rows; `widened` makes the last one even too.

    There are two pieces at least, where the rows suffice: a lone piece has no rows before it to be widened by.
    """
    if step == 1:
        return cut(rows, largest, threads)
    longest = cut(rows, largest, max(threads, 2))[0]
    size = min(largest, rounded(longest, step))
    return [slice(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]


def widened(piece: slice, step: int) -> slice:
    """A piece with so many rows before it, if they are there, that it has a multiple of `step`.

    The rows before it are computed twice and thrown away, so it does not matter if another thread writes to them.
    """
    return slice(max(0, piece.stop - rounded(piece, step)), piece.stop)


def rounded(piece: slice, step: int) -> int:
    count: int = -(-(piece.stop - piece.start) // step)
    return count * step
