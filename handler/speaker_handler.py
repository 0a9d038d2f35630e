"""TorchServe's adapter: rows in, answers out. The rest is `speaker_worker`, and `speaker_id`, which knows no server."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from speaker_id.protocol import Model
from speaker_id.settings import Settings
from speaker_telemetry import RECEIVED_HEADER, TorchServeSink
from speaker_worker import Asked, Worker, fair_share, payload


class SpeakerHandler(Worker):
    """One worker's model. TorchServe creates it, calls `initialize` once, and `handle` for every batch."""

    def initialize(self, context: Any) -> None:
        """Verify, load and warm up the model; the worker reports READY when this returns.

        Raises:
            CheckpointError: the archive's checkpoint is not what its manifest says.
        """
        # TorchServe's worker reads this for each request: bodies stay bytes, so that one parser bounds what they become
        os.environ["TS_DECODE_INPUT_REQUEST"] = "false"
        config: Mapping[str, Any] = context.model_yaml_config or {}
        settings = Settings(**config.get("speaker_id", {}))
        gpu = context.system_properties.get("gpu_id")
        device = f"cuda:{gpu}" if gpu is not None and torch.cuda.is_available() else "cpu"
        torch.set_num_threads(settings.torch_threads or fair_share(int(config.get("maxWorkers", 1))))
        model = Model(context.model_name, context.manifest["model"]["modelVersion"])
        folder = Path(context.system_properties["model_dir"])
        self.load(folder, model, settings, device, TorchServeSink(context.metrics, model))

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer every row of a batch with its own status, headers and body."""
        answers = self.answer([asked(row, context, index) for index, row in enumerate(rows)])
        for index, answer in enumerate(answers):
            if answer.outcome is None:
                continue
            # headers and phrases contain only our own words and numbers: a line break in one would end the worker
            context.set_response_status(code=answer.status.value, phrase=answer.status.phrase, idx=index)
            context.set_response_content_type(index, answer.content_type)
            for name, value in answer.headers.items():
                context.set_response_header(index, name, value)
        return [answer.body for answer in answers]


def asked(row: Mapping[str, Any], context: Any, index: int) -> Asked:
    """Convert TorchServe's row: parts by name, and headers with the end of the URL and a record for each part.

    TorchServe adds the names of a gRPC call's inputs to the headers: their values are records, not text.
    """
    given = context.get_all_request_header(index)
    headers = {name: value for name, value in given.items() if isinstance(value, str)}
    parts = dict(row)
    key = parts.pop(
        RECEIVED_HEADER, None
    )  # the gateway writes it among the inputs of a call, whose headers end here
    read = payload(parts, headers, headers.get("url_path", ""))
    if isinstance(key, bytes | bytearray):
        read = replace(read, key=key.decode("ascii", "replace"))
    return Asked(read, str(context.get_request_id(index)))
