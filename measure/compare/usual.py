"""The model as a Hugging Face user serves it, the same in every peer: bytes of clips → ranked labels.

Runs in the peers' environments: imports torch, transformers and soundfile, and nothing else of this repository.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BATCH = 8  # clips, as TorchServe's batchSize in this repository
BATCH_SECONDS = 0.002  # that a batch waits to fill, as its maxBatchDelay
TIMEOUT = 600  # s: no peer gives up on a request before the load generator does
KEEP_ALIVE = 600  # s: a connection that the server closes just as a request is sent would count as an error

# this file, as a model server that takes a model with all its code needs it
MODULES = ("measure/__init__.py", "measure/compare/__init__.py", "measure/compare/usual.py")

NAMES = ("MODEL", "BATCH", "WORKERS", "THREADS", "PORT")  # of variables, with PEER_ before

Ranking = list[dict[str, Any]]  # [{"label", "score"}], best first


@dataclass(frozen=True)
class Setup:
    """How a peer's server is configured, through its environment.

    Attributes:
        model: the checkpoint's folder.
        batch: most clips that run at once, padded to the longest; 1 runs each alone, which changes no answer.
        workers: processes, or threads, that each run a batch.
        threads: torch's, for each worker.
        port: to listen on, on loopback.
    """

    model: Path
    batch: int
    workers: int
    threads: int
    port: int

    def variables(self) -> dict[str, str]:
        return {f"PEER_{name}": str(getattr(self, name.lower())) for name in NAMES}

    @classmethod
    def read(cls) -> Setup:
        model, *numbers = (os.environ[f"PEER_{name}"] for name in NAMES)
        return cls(Path(model), *map(int, numbers))


def decode(clip: bytes, sampling_rate: int) -> Any:
    """Bytes of an audio file → float32 (samples,), mono at the model's rate."""
    import soundfile
    import soxr

    waveform, rate = soundfile.read(io.BytesIO(clip), dtype="float32", always_2d=True)
    mono = waveform.mean(axis=1)
    return mono if rate == sampling_rate else soxr.resample(mono, rate, sampling_rate)


class Classifier:
    """Loads once; called with the bytes of a batch, gives a ranking each."""

    def __init__(self, model: Path, threads: int, top_k: int = 5) -> None:
        import torch
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        torch.set_num_threads(threads)
        self.torch = torch
        self.model = AutoModelForAudioClassification.from_pretrained(model, dtype=torch.float32).eval()
        self.extractor = AutoFeatureExtractor.from_pretrained(model)
        self.top_k = min(top_k, self.model.config.num_labels)

    def __call__(self, clips: Sequence[bytes]) -> list[Ranking]:
        rate = self.extractor.sampling_rate
        waveforms = [decode(clip, rate) for clip in clips]
        features = self.extractor(waveforms, sampling_rate=rate, padding=True, return_tensors="pt")
        with self.torch.inference_mode():
            scores = self.model(**features).logits.softmax(-1)
        best, places = scores.topk(self.top_k)
        labels = self.model.config.id2label
        return [
            [{"label": labels[place], "score": score} for place, score in zip(*row, strict=True)]
            for row in zip(places.tolist(), best.tolist(), strict=True)
        ]
