"""What the adapters of all servers share, around an encoder that costs nothing: what serving costs beside the model.

measure/bench/null_server.py puts this file into an archive in the place of the shipped speaker_worker.py, which becomes
speaker_id/shipped.py; the adapters, which import it by name, are as shipped. null_stages.py, which measures the stages
where a folder is named for them, becomes speaker_id/null_stages.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import speaker_worker as shipped
    from speaker_worker import Answer, Asked, fair_share, payload

    from measure.bench import null_stages
else:
    from speaker_id import null_stages, shipped
    from speaker_id.shipped import Answer, Asked, fair_share, payload

__all__ = ["Answer", "Asked", "Worker", "fair_share", "payload"]  # what the adapters import


class Worker(shipped.Worker):
    def load(self, *args: Any, **kwargs: Any) -> None:
        super().load(*args, **kwargs)
        self.pipeline = replace(
            self.pipeline, encoder=NullEncoder(self.pipeline.encoder, self.pipeline.answering.joined.reads)
        )
        if folder := os.environ.get(null_stages.VARIABLE):
            self.timed = null_stages.Timed(Path(folder), self.pipeline, self.telemetry)

    def answer(self, batch: Sequence[Asked]) -> list[Answer]:
        if not hasattr(self, "timed"):
            return super().answer(batch)
        self.timed.begin()
        answers = super().answer(batch)
        self.timed.end(len(batch))
        return answers


class NullEncoder:
    """The worker's encoder to all that asks it, and no work."""

    def __init__(self, encoder: Any, labels: int) -> None:
        self.labels = labels
        self.min_samples = encoder.min_samples
        self.min_embedding_samples = encoder.min_embedding_samples
        self.embedding_width, self.widths = encoder.embedding_width, encoder.widths

    def __call__(self, waveforms: Sequence[Any]) -> torch.Tensor:
        return torch.zeros(len(waveforms), self.labels)

    def embed(
        self, waveforms: Sequence[Any], sources: Sequence[int | None] = (None,)
    ) -> tuple[torch.Tensor, torch.Tensor]:
        width = sum(self.embedding_width if each is None else self.widths[each] for each in sources)
        return self(waveforms), torch.zeros(len(waveforms), width)
