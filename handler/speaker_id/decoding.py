"""The decoding stage: jobs → the waveforms of their clips, in order, some decoded ahead of the encoder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

from speaker_id.batching import AtOnce, Budget, ahead
from speaker_id.clip import Clip, Decoded, Waveform
from speaker_id.decoders import Decoders
from speaker_id.decoders.patience import HANG
from speaker_id.errors import OutOfMemory, RequestError, RequestTooLarge
from speaker_id.job import Job, JobClip
from speaker_id.protocol import Request
from speaker_id.settings import Settings


class Decoding:
    """Jobs → waveforms of shape (samples,), float32, at the model's sampling rate.

    Args:
        decoders: the worker's decoder processes.
        settings: limits on one request's seconds and CPU time.
        sampling_rate: of the waveforms, in Hz.
        min_samples: fewest samples of a waveform; the encoder's receptive field.
        min_embedding_samples: the same of a request that needs the model's embedding.
        on_hang: is called for each clip that was given up because its decoder hangs.
    """

    def __init__(
        self,
        decoders: Decoders,
        settings: Settings,
        sampling_rate: int,
        min_samples: int,
        min_embedding_samples: int,
        on_hang: Callable[[], None],
    ) -> None:
        self.decoders, self.settings = decoders, settings
        self.sampling_rate, self.min_samples, self.on_hang = sampling_rate, min_samples, on_hang
        self.min_embedding_samples = min_embedding_samples

    def __call__(self, jobs: Sequence[Job]) -> Iterator[tuple[JobClip, Waveform]]:
        """Decode clip after clip; a request that has failed is not decoded further."""
        clips = [JobClip(job, index) for job in jobs for index in range(len(job.request.clips))]
        for each, pending in ahead(self.start, clips, self.decoders.count):
            try:
                decoded = pending.result()
                if decoded is None:
                    continue
                self.account(each.job, decoded)
            except RequestError as error:
                each.fail(error)
                if error.fault and error.fault.kind == HANG:
                    self.on_hang()
            except MemoryError:
                each.fail(
                    OutOfMemory(
                        "the server ran out of memory while decoding this clip: try again, or send a shorter one"
                    )
                )
            else:
                yield each, decoded.waveform

    def budget(self, request: Request) -> Budget:
        """CPU time for the clips of a request that need a decoder process."""
        waiting = sum(not self.is_plain(clip) for clip in request.clips)
        return Budget(self.settings.max_decode_seconds, waiting, self.decoders.count)

    def is_plain(self, clip: Clip) -> bool:
        return self.decoders.is_plain(clip, min_samples=self.min_samples)

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.decoders.count, thread_name_prefix="decode")

    def start(self, each: JobClip) -> Future[Decoded | None]:
        """Start to decode one clip: in a thread of the pool, which waits for a decoder, or at once without one."""
        if self.is_plain(each.clip):
            return AtOnce().submit(self.decode, each, None)
        return self.pool.submit(self.decode, each, each.job.budget)

    def decode(self, each: JobClip, budget: Budget | None) -> Decoded | None:
        """Decode one clip, in a decoder process if it has a budget; None if its request has failed already."""
        job = each.job
        if job.failed:
            return None
        job.check_awaited()
        lent = budget.lend() if budget else 0.0
        started = time.perf_counter()
        try:
            least = self.min_embedding_samples if None in job.sources else self.min_samples
            decoded = self.decoders.decode(
                each.clip, min_samples=least, cpu_seconds=lent, deadline=job.deadline
            )
            if budget:
                budget.settle(lent, decoded.cpu_seconds)
            return decoded
        finally:
            job.decode_seconds.append(time.perf_counter() - started)

    def account(self, job: Job, decoded: Decoded) -> None:
        """Add a clip to its request's totals. Raises RequestTooLarge past the most seconds of one request."""
        job.outcome.skipped_frames += decoded.skipped_frames
        job.outcome.audio_seconds += len(decoded.waveform) / self.sampling_rate
        if job.outcome.audio_seconds > (most := self.settings.max_request_seconds):
            raise RequestTooLarge(
                f"the request's clips are longer than {most:g} s together, the most that one request may have"
            )
