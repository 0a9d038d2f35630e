"""The stages wired up: payloads in, one outcome each out, in the same order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from speaker_id import checkpoint, kernels, labels, protocol
from speaker_id.batching import AtOnce, Budget, ahead, pack
from speaker_id.certainty import certainties
from speaker_id.clip import Clip, Decoded, Waveform
from speaker_id.decoders import Decoders
from speaker_id.encoder import choose
from speaker_id.encoder.contract import Encoder, out_of_memory
from speaker_id.errors import NonFiniteAudio, OutOfMemory, RequestError, RequestTooLarge
from speaker_id.job import Job, Outcome
from speaker_id.protocol.request import Function
from speaker_id.settings import Settings


@dataclass(frozen=True)
class Pipeline:
    """Payloads → outcomes. Only request errors are caught: a bug in a stage still raises.

    Attributes:
        decoders: clips → waveforms, in processes of their own.
        encoder: waveforms → logits.
        labels: names in index order.
        default_function: how logits become scores when the caller does not say; the checkpoint's.
        sampling_rate: the checkpoint's, in Hz.
        settings: limits and defaults.
        model: name and version, for the v2 form.
    """

    decoders: Decoders
    encoder: Encoder
    labels: Sequence[str]
    default_function: Function
    sampling_rate: int
    settings: Settings
    model: protocol.Model

    @classmethod
    def load(cls, folder: Path, device: str, settings: Settings, model: protocol.Model) -> Pipeline:
        """The pipeline of a verified checkpoint's folder.

        Raises:
            CheckpointError: the folder is not what its manifest says, or cannot be served as the settings ask.
        """
        kernels.bound_caches()
        loaded = checkpoint.load(folder, device, settings.heads)
        return cls(
            decoders=Decoders(
                settings.decoders,
                sampling_rate=loaded.sampling_rate,
                max_seconds=settings.max_clip_seconds,
            ),
            encoder=choose.choose(loaded, settings, device),
            labels=loaded.labels,
            default_function=loaded.default_function,
            sampling_rate=loaded.sampling_rate,
            settings=settings,
            model=model,
        )

    def identify(self, payloads: Sequence[protocol.Payload]) -> list[Outcome]:
        """Answer every payload; a bad one costs its batch mates nothing."""
        outcomes = [Outcome() for _ in payloads]
        jobs = [
            job
            for payload, outcome in zip(payloads, outcomes, strict=True)
            if (job := self.parse(payload, outcome))
        ]
        budget = int(self.settings.max_batch_audio_seconds * self.sampling_rate)
        for turn in pack(self.waveforms(jobs), budget):
            self.encode(turn)
            turn.clear()  # else its waveforms would stay while the next turn fills: twice the budget
        for job in jobs:
            job.outcome.decode_seconds = sum(job.decode_seconds)
            if job.outcome.error is None:
                try:
                    self.answer(job)
                except RequestError as error:
                    job.fail(error)
                except MemoryError:
                    job.fail(
                        OutOfMemory("the server ran out of memory over this answer; ask for a smaller top_k")
                    )
        return outcomes

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.decoders.count, thread_name_prefix="decode")

    def parse(self, payload: protocol.Payload, outcome: Outcome) -> Job | None:
        try:
            request = protocol.parse(payload, self.settings)
            waiting = sum(not self.is_plain(clip) for clip in request.clips)
            budget = Budget(self.settings.max_decode_seconds, waiting, self.decoders.count)
            job = Job(request, outcome, budget, protocol.deadline(payload))
            job.check_deadline()
            self.check_answer(job.request)
        except RequestError as error:
            outcome.fail(error)
            return None
        except MemoryError:
            outcome.fail(
                OutOfMemory("the server ran out of memory over this body; try again, or send less of it")
            )
            return None
        outcome.clips = len(job.request.clips)
        return job

    def check_answer(self, request: protocol.Request) -> None:
        """Refuse a request whose answer would be too large, before any of its work is done."""
        top_k = request.options.top_k or self.settings.default_top_k
        heads = self.settings.heads or {"": len(self.labels)}
        entries = {head: min(top_k, count) for head, count in heads.items()}
        least = protocol.least_bytes(request, entries, self.shortest_label)
        protocol.check_size(least, self.settings.max_response_bytes)

    @cached_property
    def shortest_label(self) -> int:
        return min(map(len, self.labels))

    def waveforms(self, jobs: Sequence[Job]) -> Iterator[tuple[tuple[Job, int], Waveform]]:
        """Decode clip after clip, some ahead of the encoder; a request that failed is not decoded further."""
        clips = [(job, index) for job in jobs for index in range(len(job.request.clips))]
        for (job, index), pending in ahead(self.start, clips, self.decoders.count):
            try:
                decoded = pending.result()
                if decoded is None:
                    continue
                self.account(job, decoded)
            except RequestError as error:
                if job.outcome.error is None:
                    error.instance = job.request.instance(index)
                    job.fail(error)
            except MemoryError:
                message = "the server ran out of memory over this clip; try again, or send a shorter one"
                job.fail(OutOfMemory(message, instance=job.request.instance(index)))
            else:
                yield (job, index), decoded.waveform

    def is_plain(self, clip: Clip) -> bool:
        return self.decoders.is_plain(clip, min_samples=self.encoder.min_samples)

    def start(self, clip: tuple[Job, int]) -> Future[Decoded | None]:
        """Begin to decode one clip: in a thread of the pool, which waits for a decoder, or at once without one."""
        job, index = clip
        if self.is_plain(job.request.clips[index]):
            return AtOnce().submit(self.decode, clip, None)
        return self.pool.submit(self.decode, clip, job.budget)

    def decode(self, clip: tuple[Job, int], budget: Budget | None) -> Decoded | None:
        """Have one clip decoded, by a decoder if it has a budget; None if its request has failed already."""
        job, index = clip
        if job.outcome.error is not None:
            return None
        job.check_deadline()
        lent = budget.lend() if budget else 0.0
        started = time.perf_counter()
        try:
            decoded = self.decoders.decode(
                job.request.clips[index],
                min_samples=self.encoder.min_samples,
                cpu_seconds=lent,
                deadline=job.deadline,
            )
            if budget:
                budget.settle(lent, decoded.cpu_seconds)
            return decoded
        finally:
            job.decode_seconds.append(time.perf_counter() - started)

    def account(self, job: Job, decoded: Decoded) -> None:
        job.outcome.skipped_frames += decoded.skipped_frames
        job.outcome.audio_seconds += len(decoded.waveform) / self.sampling_rate
        if job.outcome.audio_seconds > self.settings.max_request_seconds:
            raise RequestTooLarge(
                f"the request's clips are longer than {self.settings.max_request_seconds:g} s together, "
                "the most that one request may have"
            )

    def encode(self, turn: list[tuple[tuple[Job, int], Waveform]]) -> None:
        turn = [(key, waveform) for key, waveform in turn if key[0].outcome.error is None]
        if not turn:
            return
        started = time.perf_counter()
        logits: Tensor | None = None
        try:
            logits = self.encoder([waveform for _, waveform in turn])
        except (MemoryError, RuntimeError) as exc:
            if not out_of_memory(exc):
                raise
        if logits is None:  # here, where the exception no longer holds what the encoder had
            self.encode_apart(turn)
            return
        seconds = time.perf_counter() - started
        finite = logits.isfinite().all(-1).tolist()
        for ((job, index), _), row, sound in zip(turn, logits, finite, strict=True):
            if job.outcome.error is not None:
                continue
            if sound:
                job.logits[index] = row
            else:
                message = "the samples are finite, but overflow in the model: scale them to ±1"
                job.fail(NonFiniteAudio(message, instance=job.request.instance(index)))
        for outcome in {id(job): job.outcome for (job, _), _ in turn}.values():
            outcome.inference_seconds += seconds

    def encode_apart(self, turn: list[tuple[tuple[Job, int], Waveform]]) -> None:
        """A turn that memory did not suffice for, clip by clip: one that is too much costs the others nothing."""
        if len(turn) > 1:
            for item in turn:
                self.encode([item])
            return
        ((job, index), waveform) = turn[0]
        seconds = len(waveform) / self.sampling_rate
        job.fail(
            OutOfMemory(
                f"the server ran out of memory over this clip of {seconds:.1f} s; try again, or send a shorter one",
                instance=job.request.instance(index),
            )
        )

    def answer(self, job: Job) -> None:
        options = job.request.options
        top_k = options.top_k or self.settings.default_top_k
        function = options.function_to_apply or self.default_function
        logits = [job.logits[index] for index in range(len(job.request.clips))]
        rankings = [labels.answer(row, self.labels, self.settings.heads, top_k, function) for row in logits]
        body = protocol.render(job.request, rankings, self.model)
        job.outcome.answer = protocol.dump(body, self.settings.max_response_bytes)
        job.outcome.certainties = certainties(logits, self.settings.heads)
