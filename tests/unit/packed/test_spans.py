"""Where rows lie: by hand."""

import pytest
from speaker_id.packed.spans import cut, spans


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
