"""The reference encoder: Hugging Face's model on one clip at a time, never padded.

Padding changes this model's answers (its first GroupNorm averages over time, padding included) and the published
accuracy was measured with batches of one, so a faster encoder must give the answers of this one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from speaker_id import heads
from speaker_id.clip import Waveform
from speaker_id.encoder.contract import exact, receptive_field, samples_of


class ReferenceEncoder:
    """Hugging Face's model unchanged: one clip, unpadded, `attention_mask=None`.

    Args:
        model: any audio classifier of transformers, or a `ForXVector`, in eval mode.
        feature_extractor: the checkpoint's own; it normalises if the checkpoint says so.
        device: "cpu" or "cuda:N".
        others: more models with the same backbone; all of them take the first one's, which runs once a clip.
    """

    def __init__(self, model: Any, feature_extractor: Any, device: str, others: Sequence[Any] = ()) -> None:
        exact()
        self.models = [each.to(device).eval() for each in (model, *others)]
        if others:
            once = Once(getattr(model, model.base_model_prefix))
            for each in self.models:
                setattr(each, each.base_model_prefix, once)
        self.feature_extractor = feature_extractor
        self.device = device
        self.min_samples = receptive_field(model.config)
        self.labelled = [not heads.is_xvector(each) for each in self.models]
        self.embedder = heads.of_embedding(self.models)
        source = self.models[self.embedder]
        self.widths: tuple[int, ...] = tuple(each.classifier.in_features for each in self.models)
        self.embedding_width = self.widths[self.embedder]
        frames = heads.min_frames(source.tdnn) if heads.is_xvector(source) else 1
        self.min_embedding_samples = samples_of(frames, model.config)

    def __call__(self, waveforms: Sequence[Waveform]) -> Tensor:
        return self.embed(waveforms)[0]

    @torch.inference_mode()
    def embed(
        self, waveforms: Sequence[Waveform], sources: Sequence[heads.Source] = (None,)
    ) -> tuple[Tensor, Tensor]:
        wanted = [self.embedder if source is None else source for source in sources]
        logits, embeddings = zip(*(self.answer(waveform, wanted) for waveform in waveforms), strict=True)
        return torch.cat(logits), torch.cat(embeddings)

    def answer(self, waveform: Waveform, wanted: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Compute logits and embeddings of heads, (1, labels) and (1, width), from a waveform of shape (samples,)."""
        features = self.feature_extractor(
            waveform, sampling_rate=self.feature_extractor.sampling_rate, return_tensors="pt"
        )
        features.pop("attention_mask", None)  # all ones for a clip alone
        features = {name: value.to(self.device) for name, value in features.items()}
        logits = []
        embeddings = {index: torch.full((1, self.widths[index]), math.nan) for index in wanted}
        for index, (model, labelled) in enumerate(zip(self.models, self.labelled, strict=True)):
            if not labelled and (index not in wanted or len(waveform) < self.min_embedding_samples):
                continue
            seen: list[Tensor] = []
            # both classes' classifiers read the embedding
            with model.classifier.register_forward_pre_hook(
                lambda _, given, seen=seen: seen.append(given[0])
            ):
                found = model(**features).logits
            if labelled:
                logits.append(found.to(dtype=torch.float32, device="cpu"))
            if index in wanted:
                embeddings[index] = seen[0].to(dtype=torch.float32, device="cpu")
        side_by_side = [torch.empty(1, 0), *(embeddings[index] for index in wanted)]
        return torch.cat(logits, 1) if logits else torch.empty(1, 0), torch.cat(side_by_side, 1)


class Once(torch.nn.Module):
    """A backbone that several heads call with one clip's features: it computes them once."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.features: Tensor | None = None
        self.found: Any = None

    def forward(self, features: Tensor, **more: Any) -> Any:
        if features is not self.features:
            self.found = self.backbone(features, **{**more, "output_hidden_states": True})
            self.features = features
        return self.found
