"""Where rows lie: by hand."""

import pytest
from speaker_id.packed.spans import CHUNK, chunks, spans


def test_clips_lie_end_to_end() -> None:
    assert spans([3, 1, 4]) == [slice(0, 3), slice(3, 4), slice(4, 8)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, [(0, 1)]),
        (CHUNK, [(0, CHUNK)]),
        (CHUNK + 1, [(0, CHUNK + 1)]),
        (CHUNK + 2, [(0, CHUNK), (CHUNK, CHUNK + 2)]),
        (2 * CHUNK + 1, [(0, CHUNK), (CHUNK, 2 * CHUNK + 1)]),
    ],
)
def test_no_chunk_is_a_lone_row(rows: int, expected: list[tuple[int, int]]) -> None:
    assert [(chunk.start, chunk.stop) for chunk in chunks(rows)] == expected
