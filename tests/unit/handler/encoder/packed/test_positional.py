"""The positional convolution by FFT is torch's own convolution, whatever the kernel and the length."""

import pytest
import torch
import torch.nn.functional as F
from speaker_id.encoder.packed.operators import PortableOperators
from speaker_id.encoder.packed.positional import PositionalEmbedding
from speaker_id.encoder.packed.spans import spans
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.weights import Positional
from speaker_id.heads.affine import Affine

OPERATORS = PortableOperators(torch.float32, torch.device("cpu"))


@pytest.mark.parametrize("kernel", [1, 2, 9, 16, 128])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_grouped_convolution_of_each_clip(kernel: int, bias: bool) -> None:
    torch.manual_seed(kernel)
    weights = Positional(Affine(torch.randn(12, 4, kernel), torch.randn(12) if bias else None), groups=3)
    lengths = [1, 5, 40, 129, 130, 700]
    clips = [torch.randn(length, 12) for length in lengths]
    hidden = PositionalEmbedding(weights, OPERATORS)(torch.cat(clips), spans(lengths), Team(1, 32))
    for clip, found in zip(clips, torch.split(hidden, lengths), strict=True):
        conv = F.conv1d(
            clip.t()[None], weights.affine.weight, weights.affine.bias, padding=kernel // 2, groups=3
        )
        expected = clip + F.gelu(conv[0, :, : len(clip)].t())
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=3e-5)


def test_transforms_of_the_published_kernel_have_256_frames() -> None:
    embedding = PositionalEmbedding(Positional(Affine(torch.zeros(4, 2, 128), None), groups=2), OPERATORS)
    assert (embedding.size, embedding.step) == (256, 129)
