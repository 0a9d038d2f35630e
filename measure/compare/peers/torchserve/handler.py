"""The usual TorchServe handler: Hugging Face's model, the batch padded to its longest clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure.compare.usual import Classifier, Ranking, Setup


class SpeakerHandler:
    def initialize(self, context: Any) -> None:
        folder = Path(context.system_properties["model_dir"]) / "checkpoint"
        self.classifier = Classifier(folder, Setup.read().threads)

    def handle(self, rows: Sequence[Mapping[str, Any]], _context: Any) -> list[Ranking]:
        return self.classifier([row.get("body") or row["data"] for row in rows])
