"""Recordings of any length, decoded as they are read: a file → blocks of samples, in a confined process of its own.

    with Recordings(sampling_rate=16000, max_seconds=3600) as recordings:
        with recordings.open(descriptor, block_seconds=30) as recording:
            for samples in recording:      # float32, (samples,)
                ...

The process decodes with the same code as a clip's (`audio`), so the blocks together are, sample for sample, the
waveform that `audio.decode` gives. It stops when the reader is behind, and its memory does not grow with the length.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from speaker_id.clip import Waveform


class Recording(Iterator[Waveform]):
    """One recording while it is decoded. Not thread-safe; an iteration may wait, so an event loop needs a thread.

    Attributes:
        skipped_frames: damaged frames of the codec; known at the end.
        cpu_seconds: that its process used; known at the end.
    """

    skipped_frames = 0
    cpu_seconds = 0.0

    def __next__(self) -> Waveform:
        """Return the next block: `block_seconds` of samples, the last one fewer.

        Raises:
            RequestError: what is wrong with the recording, as for a clip; RecordingTooLong past `max_seconds`, with
                `seconds` set. Blocks before it may have been returned already.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End the process, whether or not it has finished. Safe from any thread, and more than once."""
        raise NotImplementedError

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


class Recordings:
    """Starts a process for each recording that is opened; thread-safe.

    Args:
        sampling_rate: of the blocks, in Hz.
        max_seconds: longest recording that is accepted, in seconds.
    """

    def __init__(self, *, sampling_rate: int, max_seconds: float) -> None:
        raise NotImplementedError

    def open(self, file: int, *, block_seconds: float) -> Recording:
        """Start to decode a file.

        Args:
            file: descriptor of a complete file on disk; it stays the caller's, and may be closed when this returns.
            block_seconds: length of a block.

        Raises:
            OutOfMemory: no process can be started.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End every process."""
        raise NotImplementedError

    def __enter__(self) -> Recordings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()
