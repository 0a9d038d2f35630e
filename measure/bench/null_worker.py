"""What the adapters of all servers share, around an encoder that costs nothing: what serving costs beside the model.

measure/bench/null_server.py puts this file into an archive in the place of the shipped speaker_worker.py, which becomes
speaker_id/shipped.py; the adapters, which import it by name, are as shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import speaker_worker as shipped
    from speaker_worker import Answer, Asked, fair_share, payload
else:
    from speaker_id import shipped
    from speaker_id.shipped import Answer, Asked, fair_share, payload

__all__ = ["Answer", "Asked", "Worker", "fair_share", "payload"]  # what the adapters import


class Worker(shipped.Worker):
    def load(self, *args: Any, **kwargs: Any) -> None:
        super().load(*args, **kwargs)
        labels = len(self.pipeline.labels)

        def encode(waveforms: Sequence[Any]) -> torch.Tensor:
            return torch.zeros(len(waveforms), labels)

        encode.min_samples = self.pipeline.encoder.min_samples  # type: ignore[attr-defined]
        self.pipeline = replace(self.pipeline, encoder=encode)  # type: ignore[arg-type]
