"""Small pipelines for tests, and what is sent to them."""

import io
import json
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from speaker_id import audio
from speaker_id.clip import Clip, Decoded, Waveform
from speaker_id.heads import Source
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload, Space
from speaker_id.settings import Settings

from tests.decoding import shared


class LoudnessEncoder:
    """Two logits a clip: its mean, and minus its mean. Remembers what came together."""

    min_samples = 400
    min_embedding_samples = 800
    embedding_width = 3
    widths = (3, 1)

    def __init__(self) -> None:
        self.micro_batches: list[list[int]] = []

    def __call__(self, waveforms: Sequence[Waveform]) -> torch.Tensor:
        self.micro_batches.append([len(waveform) for waveform in waveforms])
        means = torch.tensor([float(waveform.mean()) for waveform in waveforms])
        return torch.stack([means, -means], 1)

    def embed(
        self, waveforms: Sequence[Waveform], sources: Sequence[Source] = (None,)
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings of its mean times 3, 0 and 4; of a second head, its mean alone."""
        logits = self(waveforms)
        of_model = logits[:, :1] * torch.tensor([3.0, 0.0, 4.0])
        return logits, torch.cat([logits[:, :1] if each == 1 else of_model for each in sources], 1)


class InThisProcess:
    """Decodes where a test can watch it."""

    def __init__(self, count: int, decode: Callable[..., Decoded] = audio.decode) -> None:
        self.count, self._decode = count, decode

    def is_plain(self, _: Clip, *, min_samples: int) -> bool:
        return False

    def decode(self, clip: Clip, *, min_samples: int, cpu_seconds: float, deadline: float | None) -> Decoded:
        return self._decode(clip, sampling_rate=16000, max_seconds=120.0, min_samples=min_samples)


def pipeline(
    encoder: Any = None, decoding: Any = None, cancelled: Container[str] = (), **settings: Any
) -> Pipeline:
    return Pipeline(
        decoders=decoding or shared(),
        encoder=encoder or LoudnessEncoder(),
        labels=("up", "down"),
        default_function="none",
        sampling_rate=16000,
        settings=Settings(**settings),
        model=Model("sid", "1.0"),
        space=Space("org/sid", "c0ffee", 3),
        cancelled=cancelled,
    )


def wav(value: float, samples: int = 8000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(samples, value, np.float32), 16000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def payload(document: Any, **more: Any) -> Payload:
    return Payload({"body": json.dumps(document).encode()}, **more)


def raw(value: float, seconds: float) -> dict[str, Any]:
    return {"array": [value] * int(seconds * 4000), "sampling_rate": 4000}


def top(body: Any) -> tuple[str, float]:
    return body[0]["label"], pytest.approx(body[0]["score"], abs=1e-5)
