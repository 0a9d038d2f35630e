"""BentoML as its documentation has it: a Service with adaptive batching, or with threads where nothing is batched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bentoml

from measure.compare.usual import BATCH, TIMEOUT, Classifier, Setup

SETUP = Setup.read()


@bentoml.service(
    workers=1,
    threads=SETUP.workers,  # one process hands its queue to threads: a queue a process would fill unevenly
    resources={"cpu": str(SETUP.workers * SETUP.threads)},
    traffic={"timeout": TIMEOUT},
)
class Speaker:
    def __init__(self) -> None:
        self.classifier = Classifier(SETUP.model, SETUP.threads)

    @bentoml.api(batchable=SETUP.batch > 1, max_batch_size=BATCH, max_latency_ms=TIMEOUT * 1000)
    def identify(self, audio: list[Path]) -> list[Any]:
        return self.classifier([file.read_bytes() for file in audio])
