"""Waveforms → logits and embeddings, any mix of clips in one pass without padding: Hugging Face's of each clip alone.

Clips are concatenated over time. Operations along time (convolutions, the first norm, attention, pooling) run within
one clip; operations on single frames (every linear map and layer norm) run over all clips together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from speaker_id import heads
from speaker_id.clip import Waveform
from speaker_id.encoder.contract import exact, receptive_field, samples_of
from speaker_id.encoder.packed import batched, weights
from speaker_id.encoder.packed.pooling import Sums
from speaker_id.encoder.packed.probe import Backend, Precision, choose
from speaker_id.encoder.packed.spans import Spans, cut
from speaker_id.encoder.packed.stages import CLIPWISE
from speaker_id.encoder.packed.support import supports
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.transformer import Projection, RowNorm
from speaker_id.plan import Plan


class PackedEncoder:
    """Wav2Vec2 and HuBERT classifiers and x-vectors over packed clips.

    Args:
        model: one that `supports()` accepts, in fp32. No reference to it is kept.
        feature_extractor: the checkpoint's own; it normalises if the checkpoint says so.
        device: "cpu" or "cuda:N".
        precision: of everything but the heads, which are always fp32.
        backend: one of `probe.Backend`; "auto" is the fastest that the device supports.
        others: more models with the same backbone, whose heads share its pass.
        plan: with which kernels a processor computes; the usual ones if None.

    Raises:
        ValueError: a model is of another architecture, or the device cannot compute as asked.
    """

    def __init__(
        self,
        model: Any,
        feature_extractor: Any,
        device: str,
        precision: Precision = "fp32",
        backend: Backend = "auto",
        others: Sequence[Any] = (),
        plan: Plan | None = None,
    ) -> None:
        models = (model, *others)
        if reason := next(filter(None, map(supports, models)), None):
            raise ValueError(f"the packed encoder cannot compute this model: {reason}")
        exact()
        operators = choose(backend, precision, torch.device(device), plan)
        self.operators = operators
        self.stages = batched.STAGES if operators.whole else CLIPWISE
        self.min_samples = receptive_field(model.config)
        self.convolutions = self.stages.convolutions(weights.convolutions(model), operators)
        self.prepare = self.stages.prepare(feature_extractor, self.convolutions, operators.device)
        self.projection = Projection(weights.features_norm(model), weights.projection(model), operators)
        self.positional = self.stages.positional(weights.positional(model), operators)
        self.norm = RowNorm(weights.encoder_norm(model), operators)
        self.pre_norm = bool(model.config.do_stable_layer_norm)
        width = model.config.num_attention_heads
        self.layers = [
            self.stages.layer(layer, width, self.pre_norm, operators) for layer in weights.layers(model)
        ]
        self.heads = [heads.read(each, operators.device) for each in models]
        self.embedder = heads.of_embedding(models)
        self.widths = tuple(head.width for head in self.heads)
        self.embedding_width = self.widths[self.embedder]
        self.min_embedding_samples = samples_of(self.heads[self.embedder].min_frames, model.config)
        # one sum for each distinct set of layer weights, in the order of the heads that read it first
        self.mixtures = [*dict.fromkeys(head.mixture for head in self.heads if not head.whole)]
        threads = torch.get_num_threads() if operators.device.type == "cpu" and not operators.whole else 1
        self.team = self.stages.team(threads, operators.chunk, operators.step)

    def __call__(self, waveforms: Sequence[Waveform]) -> Tensor:
        return self.embed(waveforms, ())[0]

    @torch.inference_mode()
    def embed(
        self, waveforms: Sequence[Waveform], sources: Sequence[heads.Source] = (None,)
    ) -> tuple[Tensor, Tensor]:
        # without sources what only embeddings need is left out
        wanted = [self.heads[self.embedder if source is None else source] for source in sources]
        clips, rows = self.prepare(waveforms)
        if rows[-1].stop == 1:
            # the libraries multiply a single row with other code, which rounds differently: add a second
            logits, embeddings = self.embed([*waveforms, *waveforms], sources)
            return logits[:1], embeddings[:1]
        with self.team.in_charge():
            sums = self.encode(clips, rows, self.team, whole=any(head.whole for head in wanted))
            logits = self.logits(sums)
            vectors = [self.embeddings(sums, rows, head) for head in wanted] or [
                logits.new_empty(len(rows), 0)
            ]
        count = len(waveforms)  # there may be a clip more, see `batched`
        return logits[:count].cpu(), torch.cat(vectors, 1)[:count].cpu()

    def encode(self, clips: Any, rows: Spans, team: Team, whole: bool) -> Sums:
        """Compute the weighted sums of hidden states that the heads read.

        Args:
            clips: normalised waveforms, as `prepare` makes them.
            rows: where each is.
            team: computes it.
            whole: whether the sum of all frames is needed too.
        """
        hidden = self.projection(self.convolutions(clips, rows, team), team)
        hidden = self.positional(hidden, rows, team)
        if not self.pre_norm:
            hidden = self.norm(hidden, team)
        sums = self.stages.sums(rows, hidden.shape[1], len(self.mixtures), whole, self.operators)
        self.add(sums, hidden, 0, team)
        for number, layer in enumerate(self.layers, 1):
            hidden = layer(hidden, rows, team)
            if layer is not self.layers[-1]:
                self.add(sums, hidden, number, team)
        self.add(sums, hidden, len(self.layers), team, normed=False)
        if any(head.mixture.norms_last_state for head in self.heads):
            self.add(sums, self.norm(hidden, team), len(self.layers), team, normed=True)
        return sums

    def add(self, sums: Sums, hidden: Tensor, number: int, team: Team, normed: bool | None = None) -> None:
        """Add a hidden state by its number: of the last one, to the sums that take it with or without the norm."""

        def share(mixture: heads.Mixture) -> float:
            return mixture.shares[number] if normed in (None, mixture.norms_last_state) else 0.0

        whole = share(self.heads[self.embedder].mixture)
        sums.add(hidden, [share(mixture) for mixture in self.mixtures], whole, team)

    def logits(self, sums: Sums) -> Tensor:
        """Compute (clips, labels) of all heads side by side; unless batched, clip by clip: all are rounded alike."""
        labelled = [(head, self.mean(sums, head)) for head in self.heads if head.labels]
        clips = slice(0, len(sums.spans))
        rows = [
            torch.cat([head.logits(head.embedding(means[some])) for head, means in labelled], 1)
            for some in cut(clips, clips.stop if self.operators.whole else 1, smallest=1)
            if labelled
        ]
        return torch.cat(rows) if rows else torch.empty(len(sums.spans), 0)

    def mean(self, sums: Sums, head: heads.Head) -> Tensor:
        return sums.means[self.mixtures.index(head.mixture)]

    def embeddings(self, sums: Sums, rows: Spans, head: heads.Head) -> Tensor:
        """Compute (clips, width) of a head; a clip that is too short for one gets NaN."""
        found = torch.full((len(rows), head.width), math.nan, device=self.operators.device)
        states = self.mean(sums, head) if sums.frames is None or not head.whole else sums.frames

        def one(clip: int, span: slice) -> None:
            if span.stop - span.start >= head.min_frames:
                found[clip] = head.embedding(states[span] if head.whole else states[clip : clip + 1])[0]

        self.team.run(partial(one, clip, span) for clip, span in enumerate(rows))
        return found

    def describe(self) -> str:
        """Return back end, precision, device and threads, for a log line."""
        kind = "fp32" if self.operators.dtype == torch.float32 else "bf16"
        threads = f"{self.team.threads} thread{'s' * (self.team.threads > 1)}"
        return f"packed encoder: {self.operators.name} back end, {kind}, {self.operators.device}, {threads}"
