"""A checkpoint's parameters under the names that transformers gives them, read without transformers.

The packed encoder needs no model that computes, only tensors. Importing transformers' models takes a worker three
seconds and 150 MB, so a checkpoint that the packed encoder serves is loaded into these modules, which have no forward
pass. Source: transformers 5.23, modeling_wav2vec2.py and modeling_hubert.py; a test compares names, shapes, defaults.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from speaker_id.architecture import Architecture, Extraction
from speaker_id.manifest import (
    PREPROCESSOR_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    Manifest,
    backbone_prefix,
    check_config,
)
from speaker_id.preparation import Preparation

XVECTOR = "Wav2Vec2ForXVector"


class Part(nn.Module):
    """Modules and numbers by name."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Parameters(nn.Module):
    """The parameters of a `ForSequenceClassification` or a `ForXVector`, without a forward pass.

    Attributes:
        architecture: the name of transformers' class that has the same.
    """

    def __init__(self, config: Architecture) -> None:
        super().__init__()
        self.config = config
        (self.architecture,) = config.architectures
        self.base_model_prefix = backbone_prefix(config.model_type).removesuffix(".")
        setattr(self, self.base_model_prefix, backbone(config))
        if config.use_weighted_layer_sum:
            self.layer_weights = nn.Parameter(torch.ones(config.num_hidden_layers + 1))
        if self.architecture == XVECTOR:
            width = config.xvector_output_dim
            self.projector = nn.Linear(config.hidden_size, config.tdnn_dim[0])
            self.tdnn = nn.ModuleList(time_delay(config, number) for number in range(len(config.tdnn_dim)))
            self.feature_extractor = nn.Linear(2 * config.tdnn_dim[-1], width)
            self.classifier = nn.Linear(width, width)
            self.objective = Part(weight=nn.Parameter(torch.empty(width, len(config.id2label))))
        else:
            self.projector = nn.Linear(config.hidden_size, config.classifier_proj_size)
            self.classifier = nn.Linear(config.classifier_proj_size, len(config.id2label))


class Positional(nn.Module):
    """The convolution over time with its weight norm's two factors, named as torch's parametrization names them. That
    one would import torch's compiler."""

    def __init__(self, config: Architecture) -> None:
        super().__init__()
        width, kernel = config.hidden_size, config.num_conv_pos_embeddings
        self.groups = config.num_conv_pos_embedding_groups
        norms, directions = torch.empty(1, 1, kernel), torch.empty(width, width // self.groups, kernel)
        self.parametrizations = Part(
            weight=Part(original0=nn.Parameter(norms), original1=nn.Parameter(directions))
        )
        self.bias = nn.Parameter(torch.empty(width))

    @property
    def weight(self) -> Tensor:
        factors: Any = self.parametrizations.weight
        return torch._weight_norm(factors.original1, factors.original0, 2)


def backbone(config: Architecture) -> Part:
    width, inputs, eps = config.hidden_size, config.conv_dim[-1], config.layer_norm_eps
    projection = Part(projection=nn.Linear(inputs, width))
    if config.model_type == "wav2vec2" or config.feat_proj_layer_norm:
        projection.layer_norm = nn.LayerNorm(inputs, eps=eps)
    whole = Part(
        feature_extractor=Part(
            conv_layers=nn.ModuleList(convolution(config, number) for number in range(len(config.conv_dim)))
        ),
        feature_projection=projection,
        encoder=Part(
            pos_conv_embed=Part(conv=Positional(config)),
            layer_norm=nn.LayerNorm(width, eps=eps),
            layers=nn.ModuleList(transformer_layer(config) for _ in range(config.num_hidden_layers)),
        ),
    )
    if config.mask_time_prob > 0 or config.mask_feature_prob > 0:
        whole.masked_spec_embed = nn.Parameter(torch.empty(width))
    return whole


def convolution(config: Architecture, number: int) -> Part:
    inputs, outputs = config.conv_dim[number - 1] if number else 1, config.conv_dim[number]
    kernel, stride = config.conv_kernel[number], config.conv_stride[number]
    layer = Part(conv=nn.Conv1d(inputs, outputs, kernel, stride, bias=config.conv_bias))
    if config.feat_extract_norm == "layer":
        layer.layer_norm = nn.LayerNorm(outputs)
    elif number == 0:
        layer.layer_norm = nn.GroupNorm(outputs, outputs)
    return layer


def transformer_layer(config: Architecture) -> Part:
    width, between, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
    projections = {name: nn.Linear(width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")}
    scaling = (width // config.num_attention_heads) ** -0.5
    return Part(
        attention=Part(scaling=scaling, **projections),
        layer_norm=nn.LayerNorm(width, eps=eps),
        feed_forward=Part(
            intermediate_dense=nn.Linear(width, between), output_dense=nn.Linear(between, width)
        ),
        final_layer_norm=nn.LayerNorm(width, eps=eps),
    )


def time_delay(config: Architecture, number: int) -> Part:
    inputs, outputs = config.tdnn_dim[max(0, number - 1)], config.tdnn_dim[number]
    kernel, dilation = config.tdnn_kernel[number], config.tdnn_dilation[number]
    return Part(
        in_conv_dim=inputs,
        out_conv_dim=outputs,
        kernel_size=kernel,
        dilation=dilation,
        kernel=nn.Linear(inputs * kernel, outputs),
    )


def read(
    folder: Path, manifest: Manifest, content: Mapping[str, Any]
) -> tuple[list[Any], Preparation] | None:
    """Load strictly: every tensor used, none missing, none of another shape.

    Tensors that are stored in fp32 stay in the mapped file until somebody copies them.

    Args:
        folder: the checkpoint, verified.
        manifest: its.
        content: its `config.json`.

    Returns:
        The parameters of each head's model, around one backbone, and the preparation of waveforms; None for a
        checkpoint that needs transformers.

    Raises:
        CheckpointError: what is wrong with the weights, in one line.
    """
    cards = [*manifest.heads.values()][1:]
    contents = [content, *(check_config((folder / card.config).read_bytes()) for card in cards)]
    try:
        extraction = Extraction.model_validate_json((folder / PREPROCESSOR_FILE).read_bytes())
        with torch.device("meta"):  # names and shapes only
            first, *others = [Parameters(Architecture.of(each)) for each in contents]
    except (KeyError, AttributeError, ValueError):
        return None
    fill(first, folder / WEIGHTS_FILE)
    for model, card in zip(others, cards, strict=True):
        setattr(model, model.base_model_prefix, getattr(first, first.base_model_prefix))
        fill(model, folder / card.weights, f"{model.base_model_prefix}.")
    return [first, *others], Preparation(extraction.sampling_rate, extraction.do_normalize)


def fill(model: Parameters, path: Path, there: str | None = None) -> None:
    """Load a file's tensors.

    Args:
        model: what they are of.
        path: the file.
        there: beginning of the names of those that another file has; None for the checkpoint's first file.
    """
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as exc:
        raise CheckpointError(f"{path.name} cannot be read: {exc}") from exc
    shapes = {name: each.shape for name, each in model.state_dict().items()}
    if there:
        shapes = {name: shape for name, shape in shapes.items() if not name.startswith(there)}
    check_tensors(
        shapes.keys() - tensors.keys(),
        tensors.keys() - shapes.keys(),
        [
            (name, tensors[name].shape, shape)
            for name, shape in shapes.items()
            if name in tensors and tensors[name].shape != shape
        ],
        path.name if there else "the weights file",
    )
    model.load_state_dict(tensors, strict=False, assign=True)


def check_tensors(
    missing: Collection[str],
    unexpected: Collection[str],
    mismatched: Collection[tuple[Any, ...]],
    file: str = "the weights file",
) -> None:
    """Raise CheckpointError unless every tensor of a file is used, every parameter is in it, and all shapes agree.

    Args:
        missing: names that the file lacks.
        unexpected: names that the model lacks.
        mismatched: name, shape in the file, shape in the model.
        file: what it is called.
    """
    for fault, keys in (
        ("lacks", missing),
        ("holds tensors that the model has no place for:", unexpected),
        ("holds tensors of another shape:", mismatched),
    ):
        if keys:
            names = sorted(" ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in keys)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"{file} {fault} {', '.join(names[:3])}{more}")
