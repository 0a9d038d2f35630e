"""`huggingface_hub.InferenceClient`, whichever release this environment holds."""

from __future__ import annotations

import os

os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = (
    "1"  # without a token: not with the user's own either; read at import
)

from asked import asked, tell
from huggingface_hub import InferenceClient

it = asked()


def classify(
    audio: bytes | str, model: str = "demo", token: str | None = it.token, **options: int
) -> list[list[object]]:
    client = InferenceClient(model=f"{it.url}/predictions/{model}", token=token)
    return [[each.label, each.score] for each in client.audio_classification(audio, **options)]


tell({
    "clip": lambda: classify(it.clip.read_bytes()),
    "clip by its name": lambda: classify(str(it.clip)),
    "top_k": lambda: classify(it.clip.read_bytes(), top_k=2),
    "no audio": lambda: classify(it.notes.read_bytes()),
    "no model": lambda: classify(it.clip.read_bytes(), model="nobody"),
    "no token": lambda: classify(it.clip.read_bytes(), token=None),
})  # fmt: skip
