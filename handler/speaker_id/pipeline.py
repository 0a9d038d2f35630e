"""The stages wired up: payloads in, one outcome each out, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from speaker_id import checkpoint, kernels, protocol
from speaker_id.answering import Answering
from speaker_id.batching import pack
from speaker_id.decoders import Decoders
from speaker_id.decoding import Decoding
from speaker_id.encoder import choose
from speaker_id.encoder.contract import Encoder
from speaker_id.inference import Inference
from speaker_id.job import Job, Outcome
from speaker_id.labels import Functions
from speaker_id.open_set import OpenSet, answered
from speaker_id.opened import check_layout, open_sets
from speaker_id.settings import Settings


@dataclass(frozen=True)
class Pipeline:
    """Payloads → outcomes. Only request errors are caught: a bug in a stage still raises.

    Attributes:
        decoders: clips → waveforms, in processes of their own.
        encoder: waveforms → logits.
        labels: names in index order, those of open sets among them.
        default_function: how logits become scores when the caller does not say; the checkpoint's, or of each head.
        sampling_rate: the checkpoint's, in Hz.
        settings: limits and defaults.
        model: name and version, for the v2 form.
        space: of the model's embeddings.
        open_sets: heads that may answer "unknown", by name; "" for the only one without a name.
        on_hang: is called for each clip that was given up because its decoder hangs.
        cancelled: keys of the payloads whose callers have hung up; asked again and again.
    """

    decoders: Decoders
    encoder: Encoder
    labels: Sequence[str]
    default_function: Functions
    sampling_rate: int
    settings: Settings
    model: protocol.Model
    space: protocol.Space
    open_sets: Mapping[str, OpenSet] = field(default_factory=dict)
    on_hang: Callable[[], None] = lambda: None
    cancelled: Container[str] = frozenset()

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str,
        settings: Settings,
        model: protocol.Model,
        on_hang: Callable[[], None] = lambda: None,
        cancelled: Container[str] = frozenset(),
    ) -> Pipeline:
        """Load the pipeline of a checkpoint's folder, which is verified first.

        Raises:
            CheckpointError: the folder is not what its manifest says, or cannot be served as the settings ask.
        """
        kernels.bound_caches()
        loaded = checkpoint.load(
            folder, device, settings.closed_heads, computes=settings.encoder == "reference"
        )
        rate = loaded.sampling_rate
        # first: its processes start while the encoder is built
        decoders = Decoders(settings.decoders, sampling_rate=rate, max_seconds=settings.max_clip_seconds)
        opened = open_sets(folder, loaded)
        labels = answered(loaded.by_head(), opened)
        check_layout(settings, opened, labels)
        encoder = choose.choose(loaded, settings, device)
        return cls(
            decoders=decoders,
            encoder=encoder,
            labels=[label for each in labels.values() for label in each],
            default_function={
                head: "softmax" if head in opened else loaded.function_of(head) for head in labels
            }
            or loaded.default_function,
            sampling_rate=rate,
            settings=settings.model_copy(
                update={"heads": {head: len(each) for head, each in labels.items() if head}}
            ),
            model=model,
            space=protocol.Space(*loaded.embedder(), encoder.embedding_width),
            open_sets=opened,
            on_hang=on_hang,
            cancelled=cancelled,
        )

    def identify(self, payloads: Sequence[protocol.Payload]) -> list[Outcome]:
        """Answer every payload; a bad one does not affect the others of its batch."""
        outcomes = [Outcome() for _ in payloads]
        accepted = [self.accept(*pair) for pair in zip(payloads, outcomes, strict=True)]
        jobs = [job for job in accepted if job is not None]
        samples = int(self.settings.max_batch_audio_seconds * self.sampling_rate)
        for micro_batch in pack(self.decoding(jobs), samples):
            self.inference(micro_batch)
            micro_batch.clear()  # else its waveforms would stay while the next one fills: twice the memory
        for job in jobs:
            job.outcome.decode_seconds = sum(job.decode_seconds)
        with kernels.one_thread():
            self.answering([job for job in jobs if not job.failed])
        return outcomes

    @cached_property
    def decoding(self) -> Decoding:
        rate, encoder = self.sampling_rate, self.encoder
        least = (encoder.min_samples, encoder.min_embedding_samples)
        return Decoding(self.decoders, self.settings, rate, *least, self.on_hang)

    @cached_property
    def inference(self) -> Inference:
        return Inference(self.encoder, self.sampling_rate)

    @cached_property
    def answering(self) -> Answering:
        return Answering(
            self.labels, self.default_function, self.settings, self.model, self.space, self.open_sets
        )

    def accept(self, payload: protocol.Payload, outcome: Outcome) -> Job | None:
        """Parse a payload; None if it is rejected, for what is known before any of its work is done."""
        with outcome.catching("the server ran out of memory for this body: try again, or send a smaller one"):
            request = protocol.parse(payload, self.settings)
            deadline = protocol.deadline(payload, request.timeout)
            job = Job(
                request,
                outcome,
                self.decoding.budget(request),
                deadline,
                cancelled=lambda: payload.key in self.cancelled,
            )
            job.check_awaited()
            self.answering.check(request)
            job.sources = self.answering.sources(request)
            outcome.clips = len(request.clips)
            return job
        return None
