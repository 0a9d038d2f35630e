"""The pool of decoder processes: one clip to each at a time, and a new process for one that is spent."""

from __future__ import annotations

import contextlib
import queue
import weakref
from collections.abc import Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from speaker_id.clip import Clip, Decoded, RawAudio
from speaker_id.decoders import plain
from speaker_id.decoders.faults import ended, told
from speaker_id.decoders.forking import ForkServer
from speaker_id.decoders.patience import Patience
from speaker_id.decoders.process import DecoderProcess
from speaker_id.decoders.wire import Lost
from speaker_id.errors import CorruptAudio, OutOfMemory

# Address space that a clip may use, beyond the idle decoder's. The most that a legitimate clip needs was measured with
# `python -m measure.bench.hostile`. Too low: long recordings of many channels fail. Too high: each decoder may use it.
MEMORY = 256 << 20
LARGEST_IDLE = 60_000_000  # bytes, resident: a decoder that has more after a clip is replaced


class Decoders:
    """Decoder processes that are reused, and replaced when one ends, hangs or grows. Thread-safe.

    A thread of the pool, the keeper, starts and ends processes: a fork server that is busy, stopped or restarting takes
    seconds, and no caller waits for that past its deadline; nor does loading a model wait for the first of them.

    Args:
        count: of processes, and of clips decoded concurrently.
        sampling_rate: of the waveforms, in Hz.
        max_seconds: longest clip that is accepted, in seconds.
    """

    def __init__(self, count: int, *, sampling_rate: int, max_seconds: float) -> None:
        self.count = count
        self._request: dict[str, Any] = {"sampling_rate": sampling_rate, "max_seconds": max_seconds}
        self._most_samples = int(max_seconds * sampling_rate) + 1
        self.server = ForkServer(MEMORY, 4 * self._most_samples)
        self._idle: queue.LifoQueue[DecoderProcess] = queue.LifoQueue()
        self._all = [DecoderProcess(self.server) for _ in range(count)]
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._begun = [self._keeper.submit(begin, process, self._idle) for process in self._all]
        self._close = weakref.finalize(self, close, self._all, self.server, self._keeper)

    def decode(
        self, clip: Clip, *, min_samples: int, cpu_seconds: float, deadline: float | None = None
    ) -> Decoded:
        """Decode one clip as `audio.decode` does, in another process unless it needs no decoder.

        Args:
            clip: audio in any supported container, or samples with their sampling rate.
            min_samples: fewest samples of the result.
            cpu_seconds: CPU time that it may take.
            deadline: seconds since the epoch after which nobody waits for it.

        Raises:
            RequestError: what is wrong with this clip, AudioTooCostly, DeadlineExceeded or OutOfMemory.
            MemoryError: this process has no memory left for the clip or its waveform.
        """
        samples = plain.samples_of(clip, **self._request, min_samples=min_samples)
        if samples is not None:
            return Decoded(plain.decode(samples))
        patience = Patience(deadline)
        request, data = announced(clip)
        request |= {**self._request, "min_samples": min_samples, "cpu_seconds": cpu_seconds}
        try:
            process = self._idle.get(timeout=patience.left)
        except queue.Empty:
            raise patience.late() from None
        try:
            try:
                return self._decode(process, request, data, patience)
            except OutOfMemory:  # the decoder was killed, perhaps before it received the clip
                return self._decode(process, request, data, patience)
        finally:
            if process.pid is None:
                self._keeper.submit(start, process, self._idle)
            else:
                self._idle.put(process)

    def is_plain(self, clip: Clip, *, min_samples: int) -> bool:
        """Return whether decoding a clip needs no decoder process."""
        return plain.samples_of(clip, **self._request, min_samples=min_samples) is not None

    def ready(self) -> Decoders:
        """Wait until all processes have been started; return the pool.

        Raises:
            Lost: no fork server can be started.
        """
        for each in self._begun:
            each.result()
        return self

    def close(self) -> None:
        """End every decoder; none may be in use. Also happens when the pool is garbage collected."""
        self._close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the running decoders."""
        futures.wait(self._begun)
        return [process.pid for process in self._all if process.pid is not None]

    def _decode(
        self, process: DecoderProcess, request: dict[str, Any], data: memoryview, patience: Patience
    ) -> Decoded:
        try:
            if process.pid is None:
                patience.wait(self._keeper.submit(process.start))
            reply = process.ask(request, data, patience.left)
            if "samples" in reply:
                return self._decoded(process, reply)
        except TimeoutError:
            self._keeper.submit(process.give_up())
            raise patience.late() from None
        except Lost as exc:
            status = patience.wait(self._keeper.submit(process.give_up()))
            raise ended(status, request["cpu_seconds"]) from exc
        except MemoryError:
            # an unread reply would be taken for the next clip's
            self._keeper.submit(process.give_up())
            raise
        error = told(reply, MEMORY)
        if isinstance(error, CorruptAudio) or error.fault:
            # damaged bytes may have corrupted its memory: it gets no other clip
            self._keeper.submit(process.give_up())
        raise error

    def _decoded(self, process: DecoderProcess, reply: dict[str, Any]) -> Decoded:
        samples, skipped, used = reply["samples"], reply.get("skipped_frames"), reply.get("cpu_seconds")
        if not (type(samples) is int and 0 < samples <= self._most_samples):
            raise Lost("the decoder's reply has an impossible length")
        if type(skipped) is not int or type(used) is not float:
            raise Lost("the decoder's reply lacks numbers")
        waveform = process.waveform(samples)
        if process.resident_bytes > LARGEST_IDLE:
            self._keeper.submit(process.give_up())
        return Decoded(waveform, skipped, used)


def begin(process: DecoderProcess, idle: queue.LifoQueue[DecoderProcess]) -> None:
    """Start a decoder, and have clips wait for it no longer: where that fails, the next one tries again."""
    try:
        process.start()
    finally:
        idle.put(process)


def start(process: DecoderProcess, idle: queue.LifoQueue[DecoderProcess]) -> None:
    """Start another decoder if possible."""
    with contextlib.suppress(Lost):
        begin(process, idle)


def close(decoders: Sequence[DecoderProcess], server: ForkServer, keeper: ThreadPoolExecutor) -> None:
    keeper.shutdown()
    for process in decoders:
        process.close()
    server.close()


def announced(clip: Clip) -> tuple[dict[str, Any], memoryview]:
    """Return what the decoder is told about a clip, and its bytes."""
    if isinstance(clip, RawAudio):
        assert clip.samples.dtype == np.float32, f"RawAudio holds float32, not {clip.samples.dtype}"
        return {"shape": clip.samples.shape, "rate": clip.sampling_rate}, memoryview(clip.samples.tobytes())
    return {}, memoryview(clip.data)
