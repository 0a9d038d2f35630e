"""SUPERB's sixteen siblings, small: as published (pickled, old names), converted, served by the packed encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speaker_handler import SpeakerHandler
from speaker_id import checkpoint
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.encoder.reference import ReferenceEncoder
from speaker_id.protocol import Payload
from ts.context import Context

from bundle import archive, sources
from tests.doubles.checkpoints import write_checkpoint

LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
SIZES: dict[str, dict[str, Any]] = {"base": {}, "large": LARGE}
INTENTS = (
    *(f"action {number}" for number in range(6)),
    *(f"object {number}" for number in range(13)),
    "none",
    *(f"location {number}" for number in range(3)),
    "none",
)
TASKS = {
    "sid": tuple(f"id1{number:04d}" for number in range(1, 1252)),
    "ks": ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "_silence_", "_unknown_"),
    "er": ("neu", "hap", "ang", "sad"),
    "ic": INTENTS,
}
HEADS = {"action": 6, "object": 14, "location": 4}


def handler(root: Path, name: str) -> SpeakerHandler:
    """The handler as TorchServe would start it on this model.yaml."""
    spec = sources.resolve(name, root=root)
    folder = root / "worker"
    folder.mkdir()
    (folder / "checkpoint").symlink_to(archive.prepare(spec, root / "checkpoints"))
    config = {"speaker_id": spec.speaker_id.model_dump(mode="json") | {"warmup_seconds": [0.1]}}
    manifest = {"model": {"modelName": name, "modelVersion": spec.version}}
    started = SpeakerHandler()
    started.initialize(Context(name, str(folder), manifest, 8, None, "0.12.0", model_yaml_config=config))
    return started


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
def test_a_model_yaml_is_all_that_a_sibling_needs(family: str, size: str, task: str, tmp_path: Path) -> None:
    name = f"{family}-{size}-superb-{task}"
    write_checkpoint(tmp_path / name, family=family, pickled=True, labels=TASKS[task], **SIZES[size])
    settings = {"heads": HEADS} if task == "ic" else {}
    (tmp_path / name / "model.yaml").write_text(json.dumps({"source": ".", "speaker_id": settings}))
    served = handler(tmp_path, name)
    assert isinstance(served.pipeline.encoder, PackedEncoder)

    seconds = np.random.default_rng(0).standard_normal(16_000).round(3).tolist()
    body = {"instances": [{"array": seconds, "sampling_rate": 16_000}], "parameters": {"top_k": 3}}
    (outcome,) = served.pipeline.identify([Payload({"body": json.dumps(body).encode()})])
    (answer,) = outcome.body["predictions"]
    rankings = answer if task == "ic" else {"": answer}
    assert {head: len(ranking) for head, ranking in rankings.items()} == dict.fromkeys(
        HEADS if task == "ic" else [""], 3
    )
    for head, ranking in rankings.items():
        known = {each for each in INTENTS if head in each or each == "none"} if head else set(TASKS[task])
        assert {each["label"] for each in ranking} <= known - ({"none"} if head == "action" else set())


def test_the_three_heads_of_intent_classification_are_argmaxed_as_transformers_documents(
    tmp_path: Path,
) -> None:
    name = "wav2vec2-base-superb-ic"
    write_checkpoint(tmp_path / name, pickled=True, labels=INTENTS)
    (tmp_path / name / "model.yaml").write_text(json.dumps({"source": ".", "speaker_id": {"heads": HEADS}}))
    served = handler(tmp_path, name)
    wave = np.random.default_rng(1).standard_normal(8_000).astype(np.float32)
    loaded = checkpoint.load(tmp_path / "worker" / "checkpoint", heads=HEADS)
    logits = ReferenceEncoder(loaded.model, loaded.feature_extractor, "cpu")([wave])
    expected = [
        INTENTS[int(logits[0, :6].argmax())],
        INTENTS[6 + int(logits[0, 6:20].argmax())],
        INTENTS[20 + int(logits[0, 20:24].argmax())],
    ]
    body = {"instances": [{"array": wave.tolist(), "sampling_rate": 16_000}]}
    (outcome,) = served.pipeline.identify([Payload({"body": json.dumps(body).encode()})])
    assert [ranking[0]["label"] for ranking in outcome.body["predictions"][0].values()] == expected
