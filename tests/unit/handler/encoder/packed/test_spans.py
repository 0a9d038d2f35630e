"""Where rows lie: by hand."""

import pytest
from speaker_id.encoder.packed.spans import cut, even, rounded, spans, widened


def test_clips_lie_end_to_end() -> None:
    assert spans([3, 1, 4]) == [slice(0, 3), slice(3, 4), slice(4, 8)]
    assert spans([3, 1], start=10) == [slice(10, 13), slice(13, 14)]


@pytest.mark.parametrize(
    ("rows", "threads", "sizes"),
    [
        (1, 1, [1]),
        (64, 1, [64]),
        (65, 1, [33, 32]),  # equal, so no lone row
        (130, 1, [44, 43, 43]),
        (64, 2, [32, 32]),  # a piece for each thread
        (200, 3, [34, 34, 33, 33, 33, 33]),  # 200 / 64 is four, three threads want six
        (31, 2, [31]),  # two pieces would be too small
        (33, 4, [17, 16]),
    ],
)
def test_pieces_are_equal_and_keep_all_threads_busy(rows: int, threads: int, sizes: list[int]) -> None:
    pieces = cut(slice(7, 7 + rows), 64, threads)
    assert [piece.stop - piece.start for piece in pieces] == sizes
    assert pieces == spans(sizes, start=7)


def test_heads_may_be_cut_into_single_ones() -> None:
    assert cut(slice(0, 3), 3, threads=2, smallest=1) == [slice(0, 2), slice(2, 3)]


def sizes_of(pieces: list[slice]) -> list[int]:
    return [piece.stop - piece.start for piece in pieces]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("start", [0, 7])
def test_even_pieces_hold_each_row_once_and_are_widened_to_few_sizes(start: int, threads: int) -> None:
    seen: set[int] = set()
    for length in range(1, 600):
        pieces = list(even(slice(start, start + length), 64, threads, step=8))
        assert [row for piece in pieces for row in range(piece.start, piece.stop)] == list(
            range(start, start + length)
        )
        wide = [widened(piece, 8) for piece in pieces]
        assert all(w.start >= 0 and w.stop == piece.stop for w, piece in zip(wide, pieces, strict=True))
        assert max(sizes_of(wide)) <= 64
        if length >= 32:  # two pieces, each worth a product
            seen |= set(sizes_of(wide))
    assert seen <= set(range(8, 65, 8))


def test_a_piece_is_widened_by_the_rows_before_it() -> None:
    assert widened(slice(24, 33), 8) == slice(17, 33)
    assert widened(slice(24, 32), 8) == slice(24, 32)
    assert widened(slice(0, 13), 8) == slice(0, 13)  # there are none
    assert widened(slice(24, 33), 1) == slice(24, 33)


def test_large_pieces_have_few_sizes() -> None:
    """Each size needs kernels of its own, and half a megabyte for each."""
    sizes = {rounded(slice(3, 3 + length), 8) for length in range(1, 1025)}
    assert sizes == {*range(8, 257, 8), *range(288, 513, 32), *range(576, 1025, 64)}
    assert {rounded(slice(0, length), 1) for length in range(1, 1025)} == {*range(1, 1025)}


@pytest.mark.parametrize("largest", [512, 1024])
def test_large_pieces_hold_each_row_once(largest: int) -> None:
    for length in range(1, 4000, 7):
        pieces = list(even(slice(0, length), largest, 2, step=8))
        assert [row for piece in pieces for row in range(piece.start, piece.stop)] == [*range(length)]
        wide = [widened(piece, 8) for piece in pieces]
        assert all(w.start >= 0 and w.stop == piece.stop for w, piece in zip(wide, pieces, strict=True))
        assert max(sizes_of(wide)) <= largest
