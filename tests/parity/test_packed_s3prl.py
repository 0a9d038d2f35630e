"""An independent oracle: s3prl, with which the superb checkpoints were trained, gives the packed encoder's logits.

s3prl needs an environment of its own: `make s3prl` builds it, and without it these tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from speaker_id.clip import Waveform
from speaker_id.encoder.packed import PackedEncoder
from torch import Tensor
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from tests.parity.families import REFERENCE_BOUND, clip, distance, extractor, small

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("S3PRL_PYTHON", ROOT / "build" / "s3prl" / "bin" / "python"))
SCRIPT = Path(__file__).with_name("s3prl_answers.py")
BASE = {"use_weighted_layer_sum": True}
LARGE = BASE | {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}

pytestmark = pytest.mark.skipif(not PYTHON.is_file(), reason="no s3prl: `make s3prl` builds its environment")


@pytest.fixture(scope="module")
def batch() -> list[Waveform]:
    """As loud as normalised ones are: s3prl normalises with an epsilon of 1e-5, transformers with 1e-7."""
    clips = [clip(400), clip(16_000, 1), clip(3210, 2), clip(100_000, 3)]
    return [wave / wave.std() for wave in clips]


def answers(model: Any, features: Any, batch: list[Waveform], folder: Path) -> Tensor:
    """s3prl's logits of each clip alone."""
    model.save_pretrained(folder)
    features.save_pretrained(folder)
    np.savez(folder / "waveforms.npz", *batch)
    subprocess.run(
        [PYTHON, SCRIPT, folder, folder / "waveforms.npz", folder / "logits.npy"],
        check=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return torch.from_numpy(np.load(folder / "logits.npy"))


@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
def test_base_families_equal_s3prl(family: str, batch: list[Waveform], tmp_path: Path) -> None:
    model = small(family, **BASE)
    expected = answers(model, extractor(False), batch, tmp_path)
    for backend in ("portable", "onednn"):
        logits = PackedEncoder(model, extractor(False), "cpu", backend=backend)(batch)
        assert distance(logits, expected) < REFERENCE_BOUND, backend


@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
def test_large_families_equal_s3prl_where_the_last_state_is_normalised(
    family: str, batch: list[Waveform], tmp_path: Path
) -> None:
    """As transformers 4 did. Version 5 records the last layer's bare output, and its answers are others."""
    model = small(family, **LARGE)
    expected = answers(model, extractor(False), batch, tmp_path)
    model.config.tie_last_hidden_states = True
    tied = PackedEncoder(model, extractor(False), "cpu")(batch)
    assert distance(tied, expected) < REFERENCE_BOUND
    model.config.tie_last_hidden_states = False
    bare = PackedEncoder(model, extractor(False), "cpu")(batch)
    assert distance(bare, expected) > 100 * REFERENCE_BOUND


def test_normalised_waveforms_equal_s3prls(batch: list[Waveform], tmp_path: Path) -> None:
    model = small("wav2vec2", **BASE)
    expected = answers(model, extractor(True), batch, tmp_path)
    logits = PackedEncoder(model, extractor(True), "cpu")(batch)
    assert distance(logits, expected) < REFERENCE_BOUND


def test_the_demo_model_equals_s3prl(batch: list[Waveform], tmp_path: Path) -> None:
    folder = ROOT / "models" / "demo"
    model = AutoModelForAudioClassification.from_pretrained(folder, dtype=torch.float32).eval()
    features = AutoFeatureExtractor.from_pretrained(folder)
    expected = answers(model, features, batch, tmp_path)
    assert distance(PackedEncoder(model, features, "cpu")(batch), expected) < REFERENCE_BOUND
