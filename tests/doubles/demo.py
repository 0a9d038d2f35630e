"""The demo's speaker head as a model by itself: one head, no guard. A real checkpoint for what is not about heads."""

from __future__ import annotations

from pathlib import Path

from bundle.sources import resolve
from bundle.spec import ModelSpec

MODELS = Path(__file__).resolve().parents[2] / "models"


def demo_speaker() -> ModelSpec:
    demo = resolve("demo", root=MODELS)
    return demo.without_guards().of_head("speaker").model_copy(update={"name": demo.name, "demo": demo.demo})
