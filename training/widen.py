"""The small demo model → a benchmark checkpoint of exactly wav2vec2-base's shape that gives the same answers.

    python -m training.widen OUT_DIR [--source models/demo] [--seed 0]

95 million parameters with trained margins, made in seconds and without a download: what to measure speed and
precision on. It is no better than the demo model, being the same function, and is never committed.

How (Net2WiderNet, Chen et al. 2016, https://arxiv.org/abs/1511.05641): every channel is replicated, and what
reads a replicated channel divides its weight among the replicas. Noise that sums to zero over the replicas makes
their weights differ, so no kernel can profit from repetition. Layers 4–12 are freshly initialised and get no
weight in the layer sum: they cost what they cost in base, but errors do not pile up through them.
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from training import MODEL_DIR, SAMPLE_RATE

NOISE = 0.5  # of a weight matrix's standard deviation
NO_WEIGHT = -1e4  # softmax → exactly 0, and still finite in float16
TOLERANCE = 1e-4  # largest difference of a logit, relative to the largest logit


def base_config(source: Wav2Vec2Config) -> Wav2Vec2Config:
    """facebook/wav2vec2-base with the SUPERB head (the library's defaults are base's shape) and source's labels."""
    return Wav2Vec2Config(
        use_weighted_layer_sum=True,
        classifier_proj_size=256,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        layerdrop=0.0,
        id2label=source.id2label,
        label2id=source.label2id,
    )


def replicas(narrow: int, wide: int) -> Tensor:
    """int64 [wide]: the source channel of every wide channel, replicas side by side: 0 0 1 1 2 2 …"""
    if wide % narrow:
        raise ValueError(f"{narrow} channels cannot be replicated to {wide}: not a divisor")
    return torch.arange(narrow).repeat_interleave(wide // narrow)


def head_replicas(source: Wav2Vec2Config, target: Wav2Vec2Config) -> Tensor:
    """int64 [wide hidden]: as ``replicas``, but whole heads are replicated, and channels within a head."""
    narrow_head, wide_head = (c.hidden_size // c.num_attention_heads for c in (source, target))
    heads = replicas(source.num_attention_heads, target.num_attention_heads)
    channels: Tensor = heads[:, None] * narrow_head + replicas(narrow_head, wide_head)
    return channels.flatten()


class Widener:
    """Copies a small model's weights into a wide one's, replica by replica."""

    def __init__(self, seed: int) -> None:
        self._rng = torch.Generator().manual_seed(seed)

    def matrix(self, weight: Tensor, rows: Tensor, columns: Tensor | None) -> Tensor:
        """[out, in, …] → [len(rows), len(columns), …]; ``columns=None``: the input is not replicated."""
        wide = weight[rows]
        if columns is None:
            return wide
        copies = len(columns) // weight.shape[1]
        wide = wide[:, columns] / copies
        noise = torch.randn(wide.shape, generator=self._rng) * weight.std() / copies * NOISE
        mean = torch.zeros_like(weight[rows]).index_add_(1, columns, noise) / copies
        return wide + noise - mean[:, columns]

    def linear(
        self, wide: nn.Linear, small: nn.Linear, rows: Tensor, columns: Tensor, scale: float = 1.0
    ) -> None:
        wide.weight.copy_(self.matrix(small.weight, rows, columns) * scale)
        wide.bias.copy_(small.bias[rows] * scale)

    def norm(self, wide: nn.LayerNorm, small: nn.LayerNorm, rows: Tensor) -> None:
        """Replicas leave a layer's mean and variance as they are, so affine weights are only repeated."""
        wide.weight.copy_(small.weight[rows])
        wide.bias.copy_(small.bias[rows])

    def positional_conv(self, wide: nn.Conv1d, small: nn.Conv1d, rows: Tensor) -> None:
        """A kernel of the source's width amid zeros and noise; replicas are neighbours, so groups stay aligned.

        Setting ``weight`` goes through the weight norm, which splits it into magnitude and direction.
        """
        per_group = wide.in_channels // wide.groups
        columns = replicas(small.in_channels // small.groups, per_group)
        margin = (wide.kernel_size[0] - small.kernel_size[0]) // 2
        wide.weight = self.matrix(nn.functional.pad(small.weight, (margin, margin)), rows, columns)
        assert wide.bias is not None
        assert small.bias is not None
        wide.bias.copy_(small.bias[rows])


@torch.no_grad()
def widen(small: Wav2Vec2ForSequenceClassification, seed: int = 0) -> Wav2Vec2ForSequenceClassification:
    """A wav2vec2-base-shaped model with the logits of ``small``; equal seeds give equal bits."""
    source, target = small.config, base_config(small.config)
    if (small_groups := source.num_conv_pos_embedding_groups) != target.num_conv_pos_embedding_groups:
        raise ValueError(f"the positional convolution has {small_groups} groups, wav2vec2-base 16")
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # for what is initialised and not copied: layers 4–12
        wide = Wav2Vec2ForSequenceClassification(target).eval()

    conv = replicas(source.conv_dim[0], target.conv_dim[0])
    hidden = replicas(source.hidden_size, target.hidden_size)
    inner = replicas(source.intermediate_size, target.intermediate_size)
    projected = replicas(source.classifier_proj_size, target.classifier_proj_size)
    heads = head_replicas(source, target)
    narrow_head, wide_head = (c.hidden_size // c.num_attention_heads for c in (source, target))
    # q·k sums wide_head/narrow_head replicas and is divided by √wide_head: give q and k half of the correction each.
    sharpness = math.sqrt(math.sqrt(wide_head / narrow_head) * narrow_head / wide_head)

    to = Widener(seed)
    old, new = small.wav2vec2, wide.wav2vec2
    for index, (layer, wide_layer) in enumerate(
        zip(old.feature_extractor.conv_layers, new.feature_extractor.conv_layers, strict=True)
    ):
        columns = conv if index else None  # the first layer reads the waveform
        wide_layer.conv.weight.copy_(to.matrix(layer.conv.weight, conv, columns))
    to.norm(
        new.feature_extractor.conv_layers[0].layer_norm, old.feature_extractor.conv_layers[0].layer_norm, conv
    )
    to.norm(new.feature_projection.layer_norm, old.feature_projection.layer_norm, conv)
    to.linear(new.feature_projection.projection, old.feature_projection.projection, hidden, conv)
    to.positional_conv(new.encoder.pos_conv_embed.conv, old.encoder.pos_conv_embed.conv, hidden)
    to.norm(new.encoder.layer_norm, old.encoder.layer_norm, hidden)
    for layer, wide_layer in zip(old.encoder.layers, new.encoder.layers, strict=False):
        attention, wide_attention = layer.attention, wide_layer.attention
        to.linear(wide_attention.q_proj, attention.q_proj, heads, hidden, sharpness)
        to.linear(wide_attention.k_proj, attention.k_proj, heads, hidden, sharpness)
        to.linear(wide_attention.v_proj, attention.v_proj, heads, hidden)
        to.linear(wide_attention.out_proj, attention.out_proj, hidden, heads)
        to.norm(wide_layer.layer_norm, layer.layer_norm, hidden)
        feed, wide_feed = layer.feed_forward, wide_layer.feed_forward
        to.linear(wide_feed.intermediate_dense, feed.intermediate_dense, inner, hidden)
        to.linear(wide_feed.output_dense, feed.output_dense, hidden, inner)
        to.norm(wide_layer.final_layer_norm, layer.final_layer_norm, hidden)
    to.linear(wide.projector, small.projector, projected, hidden)
    to.linear(wide.classifier, small.classifier, torch.arange(source.num_labels), projected)
    wide.layer_weights.fill_(NO_WEIGHT)
    wide.layer_weights[: len(small.layer_weights)] = small.layer_weights
    return wide


@torch.no_grad()
def disagreement(one: nn.Module, other: nn.Module) -> float:
    """Largest difference of logits on 3 s of noise, relative to the largest logit."""
    waveform = torch.randn(1, 3 * SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
    expected, got = one(waveform).logits, other(waveform).logits
    return float((expected - got).abs().max() / expected.abs().max())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--source", type=Path, default=MODEL_DIR)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    demo = Wav2Vec2ForSequenceClassification.from_pretrained(options.source, dtype=torch.float32).eval()
    full_size = widen(demo, options.seed)
    difference = disagreement(demo, full_size)
    if difference > TOLERANCE:
        parser.exit(
            1, f"the widened logits differ by {difference:.1e}, more than {TOLERANCE:.0e}: not saved\n"
        )
    full_size.save_pretrained(options.out)
    Wav2Vec2FeatureExtractor.from_pretrained(options.source).save_pretrained(options.out)
    parameters = sum(weight.numel() for weight in full_size.parameters())
    print(f"{options.out}: {parameters:,} parameters, logits within {difference:.1e} of {options.source}'s")
