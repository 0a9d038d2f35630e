"""Pooling and the head, by hand."""

import torch
from speaker_id.encoder.packed.head import Head, Pool
from speaker_id.encoder.packed.spans import spans
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.weights import Affine

CPU = torch.device("cpu")
ALONE = Team(1, 32)


def test_a_clips_frames_are_averaged_and_its_layers_added_by_their_shares() -> None:
    pool = Pool(spans([2, 1]), 2, CPU)
    pool.add(torch.tensor([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]]), 0.5, ALONE)
    pool.add(torch.tensor([[0.0, 0.0], [0.0, 4.0], [1.0, 1.0]]), 0.25, ALONE)
    assert pool.total.tolist() == [[1.0, 2.0], [5.25, 10.25]]


def test_a_state_without_a_share_is_not_looked_at() -> None:
    pool = Pool(spans([1]), 1, CPU)
    pool.add(torch.tensor([[float("nan")]]), 0.0, ALONE)
    assert pool.total.tolist() == [[0.0]]


def test_reduced_precision_is_averaged_in_fp32() -> None:
    pool = Pool(spans([4096]), 1, CPU)
    pool.add(torch.full((4096, 1), 1.0078125, dtype=torch.bfloat16), 1.0, ALONE)
    assert pool.total.tolist() == [[1.0078125]]


def test_projection_then_classifier() -> None:
    head = Head(
        [
            Affine(torch.tensor([[1.0, 1.0]]), torch.tensor([1.0])),
            Affine(torch.tensor([[2.0], [3.0]]), torch.tensor([0.0, 0.5])),
        ],
        CPU,
    )
    assert head(torch.tensor([[1.0, 2.0], [0.0, 0.0]])).tolist() == [[8.0, 12.5], [2.0, 3.5]]
