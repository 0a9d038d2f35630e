"""A model's configuration in Triton's terms."""

from __future__ import annotations

import json

from bundle.spec import ModelSpec
from serving.gateway import model_config

SPEC = ModelSpec(
    name="demo",
    version="2.1",
    source=".",
    torchserve={"minWorkers": 3, "maxWorkers": 3, "batchSize": 8, "maxBatchDelay": 5},
    speaker_id={"max_request_clips": 32},
)
PLATFORM = "pytorch_torchserve"


def test_it_has_what_perf_analyzer_reads() -> None:
    found = model_config.config(SPEC, PLATFORM)
    assert (found["name"], found["platform"], found["max_batch_size"]) == ("demo", PLATFORM, 32)
    assert found["input"] == [{"name": "audio", "data_type": "TYPE_STRING", "dims": [1]}]
    assert found["output"] == [
        {"name": "label", "data_type": "TYPE_STRING", "dims": [-1]},
        {"name": "score", "data_type": "TYPE_FP32", "dims": [-1]},
        {"name": "embedding", "data_type": "TYPE_FP32", "dims": [-1]},
    ]
    assert found["dynamic_batching"] == {
        "preferred_batch_size": [8],
        "max_queue_delay_microseconds": 5000,
    }
    assert found["instance_group"][0]["count"] == 3


def test_several_heads_have_outputs_of_their_own() -> None:
    spec = SPEC.model_copy(
        update={"speaker_id": SPEC.speaker_id.model_copy(update={"heads": {"action": 2, "object": 3}})}
    )
    names = [output["name"] for output in model_config.config(spec, PLATFORM)["output"]]
    assert names == ["action.label", "action.score", "object.label", "object.score", "embedding"]


def test_a_default_head_has_outputs_without_its_name_too() -> None:
    settings = SPEC.speaker_id.model_copy(
        update={"heads": {"speaker": 2, "mood": 3}, "default_head": "speaker"}
    )
    found = model_config.config(SPEC.model_copy(update={"speaker_id": settings}), PLATFORM)["output"]
    names = ["label", "score", "speaker.label", "speaker.score", "mood.label", "mood.score", "embedding"]
    assert [output["name"] for output in found] == names


def test_it_is_served_for_the_model_and_for_its_version() -> None:
    plain, versioned = model_config.files([SPEC], PLATFORM)
    assert (plain.path, versioned.path) == (
        "/v2/models/demo/config",
        "/v2/models/demo/versions/2.1/config",
    )
    assert plain.body == versioned.body
    assert json.loads(plain.body) == model_config.config(SPEC, PLATFORM)
    assert not plain.public
