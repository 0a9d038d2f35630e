"""The feature extractor's parts against torch's own convolution and norm, and by hand."""

import pytest
import torch
import torch.nn.functional as F
from speaker_id.encoder.packed.convolution import ConvolutionStack, Fold
from speaker_id.encoder.packed.operators import PortableOperators
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.weights import Convolution, Norm
from speaker_id.heads.affine import Affine

OPERATORS = PortableOperators(torch.float32, torch.device("cpu"))
TILE = OPERATORS.tile


def layer(kernel: int, stride: int, inputs: int, outputs: int, norm: Norm | None = None) -> Convolution:
    affine = Affine(torch.randn(outputs, kernel * inputs), torch.randn(outputs))
    return Convolution(kernel, stride, affine, time_norm=norm, channel_norm=None)


def torch_weight(convolution: Convolution, inputs: int) -> torch.Tensor:
    """(outputs, kernel · inputs) → torch's (outputs, inputs, kernel)."""
    weight = convolution.affine.weight
    return weight.view(len(weight), convolution.kernel, inputs).transpose(1, 2)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_frames_and_samples_of_wav2vec2_by_hand() -> None:
    layers = [layer(k, s, 1, 1) for k, s in zip((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), strict=True)]
    stack = ConvolutionStack(layers, OPERATORS)
    assert [stack.frames(n) for n in (400, 719, 720, 16_000)] == [1, 1, 2, 49]
    assert [stack.samples(n) for n in (1, 2, 49)] == [400, 720, 15_760]
    assert stack.hop == 320


def test_the_fold_is_a_group_norm() -> None:
    """scale · (w·x + b - mean) + shift, from the waveform's second moments alone."""
    norm = Norm(torch.randn(6), torch.randn(6), 1e-5)
    first = layer(10, 5, 1, 6, norm)
    waveform = torch.randn(5000) + 0.3
    convolved = F.conv1d(waveform[None, None], torch_weight(first, 1), first.affine.bias, stride=5)
    expected = F.group_norm(convolved, 6, norm.weight, norm.bias, norm.eps)
    folded = Fold(first, norm, torch.device("cpu"))(waveform)
    found = F.conv1d(waveform[None, None], torch_weight(folded, 1), folded.affine.bias, stride=5)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_fold_of_silence_is_the_norms_shift() -> None:
    norm = Norm(torch.randn(6), torch.randn(6), 1e-5)
    folded = Fold(layer(10, 5, 1, 6, norm), norm, torch.device("cpu"))(torch.zeros(500))
    torch.testing.assert_close(folded.affine.bias, norm.bias)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("frames", [1, TILE - 1, TILE, TILE + 1, 3 * TILE + 5])
def test_tiles_join_without_a_seam(frames: int, threads: int) -> None:
    layers = [layer(4, 3, 1, 5), layer(3, 2, 5, 7), layer(2, 2, 7, 6)]
    stack = ConvolutionStack(layers, OPERATORS)
    waveform = torch.randn(stack.samples(frames) + 5)  # some samples too few for another frame
    rows, inputs = waveform[None, None], 1
    for convolution in layers:
        weight = torch_weight(convolution, inputs)
        rows = F.gelu(F.conv1d(rows, weight, convolution.affine.bias, stride=convolution.stride))
        inputs = len(weight)
    out = stack([waveform], [slice(0, frames)], Team(threads, OPERATORS.chunk))
    torch.testing.assert_close(out, rows[0].t(), rtol=1e-4, atol=1e-4)
