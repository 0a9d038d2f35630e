"""A built archive as a worker loads it, and what it answers, without a server."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import yaml
from speaker_id.clip import Waveform
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model
from speaker_id.settings import Settings

from tests.unit.handler.pipelines import payload


def served(mar: Path, folder: Path, **settings: Any) -> Pipeline:
    """The pipeline of an archive's content.

    Args:
        folder: that gets the content.
        settings: over the archive's.
    """
    with zipfile.ZipFile(mar) as content:
        content.extractall(folder)
    given = yaml.safe_load((folder / "model-config.yaml").read_text())["speaker_id"]
    chosen = Settings(**given | {"decoders": 1} | settings)
    return Pipeline.load(folder / "checkpoint", "cpu", chosen, Model("m", "1.0"))


def ask(asked: Pipeline, *samples: Waveform, **parameters: Any) -> Any:
    """The answer to each clip of one request, at 16 kHz."""
    instances = [{"array": each.tolist(), "sampling_rate": 16_000} for each in samples]
    (outcome,) = asked.identify([payload({"instances": instances, "parameters": parameters})])
    assert outcome.error is None, outcome.error
    return outcome.body["predictions"]
