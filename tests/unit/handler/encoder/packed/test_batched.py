"""What the batched parts do that the others do not: one signal for all clips, and rounded numbers of rows."""

import numpy as np
import pytest
import torch
from speaker_id.encoder.packed.batched.layout import Layout
from speaker_id.encoder.packed.batched.stages import coarse

CPU = torch.device("cpu")


def test_clips_start_at_multiples_of_a_hop_with_zeros_between() -> None:
    layout = Layout([5, 3, 8], [2, 1, 3], 4, CPU)
    signal = layout.signal(
        [np.full(5, 1, np.float32), np.full(3, 2, np.float32), np.full(8, 3, np.float32)], 2
    )
    assert signal.tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 2, 2, 2, 0, *[3] * 8, 0, 0]
    assert list(layout) == [slice(0, 2), slice(2, 3), slice(3, 6)]
    assert layout.ends.tolist() == [0, 2, 3, 6]
    assert layout.taken(layout.first_hop).tolist() == [0, 1, 2, 3, 4, 5]


def test_sums_are_over_one_clips_hops() -> None:
    layout = Layout([5, 3, 8], [2, 1, 3], 4, CPU)
    values = torch.tensor([1.0, 2.0, float("nan"), 4.0, 5.0])
    assert layout.sums(values)[[0, 2]].tolist() == [3.0, 9.0]
    assert layout.of_hops(torch.tensor([7, 8, 9])).tolist() == [7, 7, 8, 9, 9]


@pytest.mark.parametrize(("rows", "distance"), [(1, 1), (63, 1), (64, 2), (325, 8), (24_000, 512)])
def test_numbers_of_rows_are_rounded_to_32_an_octave(rows: int, distance: int) -> None:
    assert coarse(rows) == distance
