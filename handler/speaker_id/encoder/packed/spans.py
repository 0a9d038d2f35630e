"""Where each clip is in packed activations, (frames, channels): the clips' rows one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

SMALLEST = 16  # rows: fewer make a matrix product inefficient, and a single row is computed by other code

Spans = Sequence[slice]  # each clip's rows


def spans(frames: Iterable[int], start: int = 0) -> Spans:
    """Return the rows of clips of so many frames each, placed end to end."""
    return [slice(*ends) for ends in pairwise(accumulate(frames, initial=start))]


def cut(rows: slice, largest: int, threads: int = 1, smallest: int = SMALLEST) -> Spans:
    """Cut rows into pieces of equal size (except for one row), at most `largest` each, enough to keep all threads busy.

    No piece is a single row unless there is only one: the libraries multiply one row with other code, which rounds
    differently, and an answer should not depend on its clip's place in a batch.
    """
    length = rows.stop - rows.start
    count = -(-length // largest)
    count = -(-count // threads) * threads
    count = max(1, min(count, length // smallest))
    size, longer = divmod(length, count)
    return spans([size + (index < longer) for index in range(count)], rows.start)


def even(rows: slice, largest: int, threads: int = 1, step: int = 1) -> Spans:
    """As `cut`, but all pieces except the last have rows as `rounded` makes them; `widened` extends the last one.

    There are at least two pieces if the rows suffice: a single piece has no rows before it to be extended by.
    """
    if step == 1:
        return cut(rows, largest, threads)
    longest = cut(rows, largest, max(threads, 2))[0]
    size = min(largest, rounded(longest, step))
    return [slice(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]


def widened(piece: slice, step: int) -> slice:
    """Extend a piece by rows before it, where there are any, to as many as `rounded` makes them.

    The rows before it are computed twice and discarded, so it does not matter if another thread writes to them.
    """
    return slice(max(0, piece.stop - rounded(piece, step)), piece.stop)


def rounded(piece: slice, step: int) -> int:
    """Round a piece's rows up to a multiple of `step`; beyond 32 steps to an eighth of the power of two below.

    So there are 32 sizes up to 256 rows with steps of 8, and 8 more for each doubling.
    """
    length = piece.stop - piece.start
    if step > 1 and length > 32 * step:
        step = (1 << (length - 1).bit_length()) // 16
    count: int = -(-length // step)
    return count * step
