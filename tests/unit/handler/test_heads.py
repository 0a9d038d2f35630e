"""The heads behind the encoder, by hand."""

import torch
from speaker_id.heads.affine import Affine
from speaker_id.heads.classification import Classification
from speaker_id.heads.contract import Mixture
from speaker_id.heads.xvector import TimeDelay, XVector

LAST = Mixture((0.0, 1.0))


def affine(weight: list[list[float]], bias: list[float] | None = None) -> Affine:
    return Affine(torch.tensor(weight), None if bias is None else torch.tensor(bias))


def test_projection_then_classifier() -> None:
    head = Classification(LAST, affine([[1.0, 1.0]], [1.0]), affine([[2.0], [3.0]], [0.0, 0.5]))
    embedding = head.embedding(torch.tensor([[1.0, 2.0]]))
    assert embedding.tolist() == [[4.0]]
    assert head.logits(embedding).tolist() == [[8.0, 12.5]]
    assert (head.width, head.labels) == (1, 2)


def test_without_a_projector_the_mean_itself_is_classified() -> None:
    head = Classification(LAST, None, affine([[1.0, 0.0], [1.0, 1.0]]))
    embedding = head.embedding(torch.tensor([[3.0, 4.0]]))
    assert embedding.tolist() == [[3.0, 4.0]]
    assert head.logits(embedding).tolist() == [[3.0, 7.0]]


def test_an_x_vector_is_made_of_mean_and_deviation_behind_the_time_delay_layers() -> None:
    """Two frames are two apart: their sum, less than zero cut off; then mean and standard deviation of three sums."""
    delay = TimeDelay(torch.tensor([[[1.0, 1.0]]]), torch.tensor([-1.0]), dilation=2)
    same = affine([[1.0, 0.0], [0.0, 1.0]])
    head = XVector(LAST, affine([[1.0]]), [delay], same, same, min_frames=4)
    frames = torch.tensor([[1.0], [0.0], [2.0], [0.5], [4.0]])  # 1+2, 0+0.5, 2+4, each less 1: 2, 0, 5
    mean, deviation = head.embedding(frames)[0].tolist()
    assert abs(mean - 7 / 3) < 1e-6
    assert abs(deviation - 2.5166115) < 1e-6
    assert (head.width, head.labels) == (2, 0)
