"""The inference stage: a micro-batch → the logits and embeddings of its clips, each handed to its job."""

from __future__ import annotations

import time

from torch import Tensor

from speaker_id.clip import Waveform
from speaker_id.encoder.contract import Encoder, by_source, out_of_memory
from speaker_id.errors import NonFiniteAudio, OutOfMemory, RequestError
from speaker_id.job import JobClip

MicroBatch = list[tuple[JobClip, Waveform]]


class Inference:
    """Run the encoder on one micro-batch after another.

    Args:
        encoder: waveforms → logits.
        sampling_rate: of the waveforms, in Hz.
    """

    def __init__(self, encoder: Encoder, sampling_rate: int) -> None:
        self.encoder, self.sampling_rate = encoder, sampling_rate

    def __call__(self, micro_batch: MicroBatch) -> None:
        """Fill in `Job.logits` and `Job.embeddings`; a clip that cannot be encoded fails its own request only."""
        for each, _ in micro_batch:
            if not each.job.failed:
                try:
                    each.job.check_awaited()
                except RequestError as error:
                    each.fail(error)
        batch = [(each, waveform) for each, waveform in micro_batch if not each.job.failed]
        if not batch:
            return
        started = time.perf_counter()
        logits: Tensor | None = None
        waveforms = [waveform for _, waveform in batch]
        sources = [*dict.fromkeys(source for each, _ in batch for source in each.job.sources)]
        try:
            if sources:
                logits, embeddings = self.encoder.embed(waveforms, sources)
                vectors = by_source(self.encoder, sources, embeddings)
            else:
                logits, vectors = self.encoder(waveforms), {}
        except (MemoryError, RuntimeError) as exc:
            if not out_of_memory(exc):
                raise
        if logits is None:  # here, where the exception no longer holds what the encoder had
            self.separately(batch)
            return
        seconds = time.perf_counter() - started
        # of the whole micro-batch at once: on a GPU it waits for each answer
        finite = logits.isfinite().all(1).tolist()
        finite_vectors = {source: rows.isfinite().all(1).tolist() for source, rows in vectors.items()}
        for place, ((each, _), row) in enumerate(zip(batch, logits, strict=True)):
            own = {source: vectors[source][place] for source in each.job.sources}
            if not (finite[place] and all(finite_vectors[source][place] for source in own)):
                each.fail(
                    NonFiniteAudio("the samples are finite, but overflow in the model: scale them to ±1")
                )
            elif not each.job.failed:
                each.job.logits[each.index] = row
                each.job.embeddings[each.index] = own
        for outcome in {id(each.job): each.job.outcome for each, _ in batch}.values():
            outcome.inference_seconds += seconds

    def separately(self, batch: MicroBatch) -> None:
        """Encode clip by clip what memory did not suffice for: one that is too large costs the others nothing."""
        if len(batch) > 1:
            for item in batch:
                self([item])
            return
        each, waveform = batch[0]
        seconds = len(waveform) / self.sampling_rate
        each.fail(
            OutOfMemory(
                f"the server ran out of memory for this clip of {seconds:.1f} s: try again, or send a shorter one"
            )
        )
