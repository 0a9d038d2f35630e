"""Each model's configuration in Triton's terms, which perf_analyzer and tritonclient ask for before they send a clip.

https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_model_configuration.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from speaker_id.protocol.outputs import every

from bundle.repository import DATATYPES
from bundle.spec import ModelSpec
from serving.gateway.static import StaticFile


def files(specs: Iterable[ModelSpec], platform: str) -> list[StaticFile]:
    """What is answered at /v2/models/NAME/config, and for the version that a model starts with."""
    return [
        StaticFile(
            f"/v2/models/{spec.name}{version}/config",
            "application/json",
            json.dumps(config(spec, platform)).encode(),
        )
        for spec in specs
        for version in ("", f"/versions/{spec.version}")
    ]


def config(spec: ModelSpec, platform: str) -> dict[str, Any]:
    """What is known of a model before it is loaded; Triton's other fields are left out."""
    batch = spec.torchserve.batchSize
    return {
        "name": spec.name,
        "platform": platform,
        # the clips of one request; requests are merged into batches whatever their clips
        "max_batch_size": spec.speaker_id.max_request_clips,
        "input": [{"name": "audio", "data_type": "TYPE_STRING", "dims": [1]}],
        "output": [
            {"name": name, "data_type": DATATYPES[name.rpartition(".")[2]], "dims": [-1]}
            for name in every(spec.speaker_id.output_heads)
        ],
        "instance_group": [{"name": spec.name, "kind": "KIND_AUTO", "count": spec.torchserve.minWorkers}],
        "dynamic_batching": {
            "preferred_batch_size": [batch],
            "max_queue_delay_microseconds": round(spec.torchserve.maxBatchDelay * 1000),
        },
    }
