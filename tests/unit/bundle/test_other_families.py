"""Relatives that the packed encoder cannot compute go the whole way all the same: converted, loaded, answered."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from speaker_id import checkpoint
from speaker_id.encoder import choose
from speaker_id.encoder.reference import ReferenceEncoder
from speaker_id.manifest import CheckpointError
from speaker_id.settings import Settings
from transformers import (
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForSequenceClassification,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMForSequenceClassification,
)

from bundle import archive, sources
from tests.doubles.checkpoints import SMALL, SMALL_CONV, named

LABELS = named(("anna", "bernd"))


def wavlm() -> tuple[Any, Any]:
    model = WavLMForSequenceClassification(WavLMConfig(**SMALL | SMALL_CONV | LABELS))
    return model, Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)


def wav2vec2_bert() -> tuple[Any, Any]:
    model = Wav2Vec2BertForSequenceClassification(
        Wav2Vec2BertConfig(feature_projection_input_dim=160, **SMALL | LABELS)
    )
    return model, SeamlessM4TFeatureExtractor()


@pytest.mark.parametrize("family", [wavlm, wav2vec2_bert])
def test_the_reference_encoder_serves_it_and_the_log_says_why(
    family: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    model, extractor = family()
    source = tmp_path / "relative"
    source.mkdir()
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(source)
    extractor.save_pretrained(source)
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        source / "model.safetensors",
        {"format": "pt"},
    )
    loaded = checkpoint.load(archive.prepare(sources.resolve(str(source)), tmp_path / "checkpoints"))
    with caplog.at_level(logging.INFO):
        encoder = choose.choose(loaded, Settings.model_validate({}), "cpu")
    assert isinstance(encoder, ReferenceEncoder)
    assert f"reference encoder, one clip at a time: {type(model).__name__}" in caplog.text
    waves = [
        np.random.default_rng(n).standard_normal(n).astype(np.float32) for n in (encoder.min_samples, 16000)
    ]
    logits = encoder(waves)
    with torch.inference_mode():
        inputs = extractor(waves[1], sampling_rate=16000, return_tensors="pt")
        inputs.pop("attention_mask", None)
        expected = model.eval()(**inputs).logits
    torch.testing.assert_close(logits[1:], expected, rtol=1e-5, atol=1e-6)
    assert logits.isfinite().all()
    reduced = Settings.model_validate({"precision": "bf16"})
    with pytest.raises(CheckpointError, match="bf16"):
        choose.choose(loaded, reduced, "cpu")
