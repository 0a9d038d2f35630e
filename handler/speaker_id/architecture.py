"""What `config.json` and `preprocessor_config.json` say, read without transformers; defaults are those of transformers.

It accepts what the packed encoder computes; for everything else there is transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from speaker_id.preparation import EXTRACTOR


class Architecture(BaseModel):
    """What a `config.json` says of the parameters and of how they are used."""

    model_config = ConfigDict(strict=True, extra="ignore")

    model_type: Literal["wav2vec2", "hubert"]
    architectures: list[
        Literal["Wav2Vec2ForSequenceClassification", "HubertForSequenceClassification", "Wav2Vec2ForXVector"]
    ] = Field(min_length=1, max_length=1)
    hidden_size: PositiveInt = 768
    num_hidden_layers: PositiveInt = 12
    num_attention_heads: PositiveInt = 12
    intermediate_size: PositiveInt = 3072
    hidden_act: Literal["gelu"] = "gelu"
    layer_norm_eps: float = 1e-5
    feat_extract_norm: Literal["group", "layer"] = "group"
    feat_extract_activation: Literal["gelu"] = "gelu"
    conv_dim: list[PositiveInt] = [512] * 7
    conv_stride: list[PositiveInt] = [5, 2, 2, 2, 2, 2, 2]
    conv_kernel: list[PositiveInt] = [10, 3, 3, 3, 3, 2, 2]
    conv_bias: bool = False
    num_conv_pos_embeddings: PositiveInt = 128
    num_conv_pos_embedding_groups: PositiveInt = 16
    do_stable_layer_norm: bool = False
    mask_time_prob: float = 0.05
    mask_feature_prob: float = 0.0
    use_weighted_layer_sum: bool = False
    classifier_proj_size: PositiveInt = 256
    tdnn_dim: list[PositiveInt] = [512, 512, 512, 512, 1500]
    tdnn_kernel: list[PositiveInt] = [5, 3, 3, 1, 1]
    tdnn_dilation: list[PositiveInt] = [1, 2, 3, 1, 1]
    xvector_output_dim: PositiveInt = 512
    add_adapter: Literal[False] = False
    adapter_attn_dim: None = None
    feat_proj_layer_norm: bool = True  # HuBERT's
    conv_pos_batch_norm: Literal[False] = False  # HuBERT's
    problem_type: (
        Literal["regression", "single_label_classification", "multi_label_classification"] | None
    ) = None
    tie_last_hidden_states: bool | None = None
    id2label: dict[int, str]

    @model_validator(mode="after")
    def check_layers(self) -> Architecture:
        for layers in (
            ("conv_dim", "conv_stride", "conv_kernel"),
            ("tdnn_dim", "tdnn_kernel", "tdnn_dilation"),
        ):
            if len({len(getattr(self, name)) for name in layers}) != 1:
                raise ValueError(f"{', '.join(layers)} differ in length")
        return self

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Architecture:
        """Parse a `config.json`.

        Raises:
            KeyError, AttributeError, ValueError: not all of it is as expected.
        """
        labels = {int(index): label for index, label in content["id2label"].items()}
        return cls.model_validate({**content, "id2label": labels})


class Extraction(BaseModel):
    """What a `preprocessor_config.json` says of a `Wav2Vec2FeatureExtractor`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    feature_extractor_type: Literal["Wav2Vec2FeatureExtractor"] = EXTRACTOR
    feature_size: Literal[1] = 1
    sampling_rate: int = Field(16_000, gt=0)
    do_normalize: bool = True
