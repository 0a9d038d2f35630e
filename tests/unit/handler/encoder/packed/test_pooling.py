"""Weighted sums over layers, by hand."""

import torch
from speaker_id.encoder.packed.operators import PortableOperators
from speaker_id.encoder.packed.pooling import Sums
from speaker_id.encoder.packed.spans import spans
from speaker_id.encoder.packed.team import Team

OPERATORS = PortableOperators(torch.float32, torch.device("cpu"))
ALONE = Team(1, 32)


def test_a_clips_frames_are_averaged_and_its_layers_added_by_their_shares() -> None:
    sums = Sums(spans([2, 1]), 2, 1, False, OPERATORS)
    sums.add(torch.tensor([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]]), [0.5], 0.0, ALONE)
    sums.add(torch.tensor([[0.0, 0.0], [0.0, 4.0], [1.0, 1.0]]), [0.25], 0.0, ALONE)
    assert sums.means[0].tolist() == [[1.0, 2.0], [5.25, 10.25]]
    assert sums.frames is None


def test_each_set_of_layer_weights_has_its_own_sum() -> None:
    sums = Sums(spans([2]), 1, 2, True, OPERATORS)
    sums.add(torch.tensor([[1.0], [3.0]]), [1.0, 0.5], 2.0, ALONE)
    sums.add(torch.tensor([[4.0], [8.0]]), [0.0, 0.5], 1.0, ALONE)
    assert [total.tolist() for total in sums.means] == [[[2.0]], [[4.0]]]
    assert sums.frames is not None
    assert sums.frames.tolist() == [[6.0], [14.0]]


def test_a_state_without_a_share_is_not_looked_at() -> None:
    sums = Sums(spans([1]), 1, 1, True, OPERATORS)
    sums.add(torch.tensor([[float("nan")]]), [0.0], 0.0, ALONE)
    assert sums.means[0].tolist() == [[0.0]]
    assert sums.frames is not None
    assert sums.frames.tolist() == [[0.0]]


def test_reduced_precision_is_averaged_in_fp32() -> None:
    sums = Sums(spans([4096]), 1, 1, False, OPERATORS)
    sums.add(torch.full((4096, 1), 1.0078125, dtype=torch.bfloat16), [1.0], 0.0, ALONE)
    assert sums.means[0].tolist() == [[1.0078125]]
