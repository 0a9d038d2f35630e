"""A checkpoint without transformers: the same tensors, the same answers, the same refusals, and a quicker start."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from speaker_id import architecture, parameters
from speaker_id.checkpoint import load
from speaker_id.encoder import choose
from speaker_id.gallery import fingerprint
from speaker_id.manifest import Manifest
from speaker_id.parameters import Parameters
from speaker_id.preparation import Preparation
from speaker_id.settings import Settings
from transformers import HubertConfig, Wav2Vec2Config, Wav2Vec2FeatureExtractor

from tests.doubles.checkpoints import write_checkpoint
from tests.unit.handler.sealed import LABELS, change_config, change_weights, refusal, sealed

LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
SHAPES: dict[str, dict[str, Any]] = {
    "base": {},
    "large": LARGE,
    "hubert": {"family": "hubert"},
    "hubert without a norm of features": {"family": "hubert", "feat_proj_layer_norm": False},
    "x-vector": {"xvector": True},
    "plain sum": {"use_weighted_layer_sum": False, "mask_time_prob": 0.0},
}


def light(folder: Path) -> Any:
    return load(folder, computes=False)


@pytest.fixture(params=SHAPES)
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return sealed(write_checkpoint(tmp_path / "c", labels=LABELS, **SHAPES[request.param]))


@pytest.mark.parametrize("config", [Wav2Vec2Config(), HubertConfig()], ids=["wav2vec2", "hubert"])
def test_defaults_are_those_of_transformers(config: Any) -> None:
    said = {"model_type": config.model_type, "architectures": ["Wav2Vec2ForXVector"], "id2label": {}}
    ours = architecture.Architecture.of(said).model_dump(exclude={*said, "tie_last_hidden_states"})
    theirs = {name: getattr(config, name, ours[name]) for name in ours}
    assert ours == {name: [*it] if isinstance(it, tuple) else it for name, it in theirs.items()}


def test_defaults_of_the_preparation_are_those_of_transformers() -> None:
    theirs = Wav2Vec2FeatureExtractor()
    ours = architecture.Extraction().model_dump(exclude={"feature_extractor_type"})
    assert ours == {name: getattr(theirs, name) for name in ours}


def test_the_tensors_are_those_that_transformers_loads(folder: Path) -> None:
    ours, theirs = light(folder).model, load(folder).model
    assert isinstance(ours, Parameters)
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())
    assert fingerprint(ours.state_dict(), ()) == fingerprint(expected, ())


def test_the_packed_encoder_answers_the_same_bits(folder: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal(samples).astype(np.float32) for samples in (9000, 12_345)]
    ours, theirs = (
        choose.choose(each, Settings(), "cpu").embed(clips) for each in (light(folder), load(folder))
    )
    assert all(map(torch.equal, ours, theirs))


def test_all_else_is_the_same(folder: Path) -> None:
    ours, theirs = light(folder), load(folder)
    for name in ("labels", "default_function", "sampling_rate", "heads", "functions", "manifest"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_tensors_stored_in_fp16_are_computed_in_fp32(tmp_path: Path) -> None:
    folder = sealed(write_checkpoint(tmp_path / "c", labels=LABELS))
    change_weights(folder, lambda tensors: tensors.update({name: it.half() for name, it in tensors.items()}))
    assert {tensor.dtype for tensor in light(folder).model.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("layer_weights"), "the weights file lacks layer_weights"),
        (
            lambda tensors: tensors.update(other=torch.ones(1)),
            "the weights file holds tensors that the model has no place for: other",
        ),
        (
            lambda tensors: tensors.update(layer_weights=torch.ones(2)),
            "the weights file holds tensors of another shape: layer_weights torch.Size([2]) torch.Size([3])",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None], said: str
) -> None:
    folder = sealed(write_checkpoint(tmp_path / "c", labels=LABELS))
    change_weights(folder, change)
    assert refusal(folder, light) == refusal(folder) == said


def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    folder = sealed(write_checkpoint(tmp_path / "c", labels=LABELS))
    (folder / "model.safetensors").write_bytes(b"\x80\x04not safetensors")
    assert refusal(sealed(folder), light).startswith("model.safetensors cannot be read: ")


@pytest.mark.parametrize("normalised", [True, False])
def test_a_waveform_is_prepared_bit_for_bit_as_by_transformers(normalised: bool) -> None:
    theirs = Wav2Vec2FeatureExtractor(do_normalize=normalised)
    ours = Preparation.of(theirs)
    assert ours is not None
    rng = np.random.default_rng(1)
    silent, alone = np.zeros(800, np.float32), np.float32([0.5])
    for clip in (rng.standard_normal(54_321).astype(np.float32) * 0.03 + 0.1, silent, alone):
        expected = theirs(clip, sampling_rate=16_000, return_tensors="pt").input_values[0]
        assert torch.equal(ours(clip), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_act": "relu"},
        {"feat_extract_activation": "relu"},
        {"conv_kernel": [10, 3, 3, 3, 3, 2]},
        {"hidden_size": "wide"},
        {"problem_type": "clustering"},
        {"id2label": None},
    ],
)
def test_what_is_not_as_expected_is_left_to_transformers(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    folder = sealed(write_checkpoint(tmp_path / "c", labels=LABELS))
    change_config(folder, **changes)
    content = json.loads((folder / "config.json").read_text())
    assert parameters.read(folder, Manifest.read(folder), content) is None


def test_a_feature_extractor_of_another_kind_is_left_to_transformers(tmp_path: Path) -> None:
    folder = sealed(write_checkpoint(tmp_path / "c", labels=LABELS))
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({"feature_extractor_type": "SeamlessM4TFeatureExtractor"}))
    content = json.loads((folder / "config.json").read_text())
    assert parameters.read(folder, Manifest.read(folder), content) is None


START = """
import sys; from pathlib import Path
import speaker_handler
from speaker_id.encoder.contract import warm_up
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model
from speaker_id.settings import Settings
pipeline = Pipeline.load(Path(sys.argv[1]), "cpu", Settings(decoders=1), Model("m", "1"))
warm_up(pipeline.encoder, [0.5], 16000, [None])
print({"transformers", "huggingface_hub", "torch._dynamo", "sympy", "scipy"} & set(sys.modules))
"""


def test_a_worker_imports_neither_transformers_nor_the_compiler_of_torch(tmp_path: Path) -> None:
    """They take four seconds of a processor and 150 MB, which every worker would need again."""
    folder = sealed(write_checkpoint(tmp_path / "c", labels=LABELS))
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", START, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | path)
    assert (done.stdout, done.returncode) == ("set()\n", 0), done.stderr[-2000:]
