"""Recordings of any length, decoded as they are read: a file → blocks of samples, in a confined process of its own.

    with Recordings(sampling_rate=16000, max_seconds=3600) as recordings:
        with recordings.open(descriptor, block_seconds=30) as recording:
            for samples in recording:      # float32, (samples,)
                ...

The process decodes with the same code as a clip's (`audio`), so the blocks together are, sample for sample, the
waveform that `audio.decode` gives. It stops when the reader is behind, and its memory does not grow with the length.
Blocks come before it is known whether what follows can be decoded: an answer is complete when the iteration is.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np

from speaker_id.clip import Waveform
from speaker_id.decoders.faults import ended, told
from speaker_id.decoders.forking import ForkServer
from speaker_id.decoders.patience import HANG, HANG_SECONDS
from speaker_id.decoders.pool import MEMORY
from speaker_id.decoders.wire import LENGTH, LONGEST_LINE, PART, RESULT, SAMPLES, STREAM, Lost, connected
from speaker_id.errors import (
    EMPTY_BODY,
    AudioTooCostly,
    AudioTooLong,
    DeadlineExceeded,
    EmptyAudio,
    Fault,
    OutOfMemory,
    RecordingTooLong,
    RequestError,
)

# CPU time that a recording's process may use: so much before its first block, to inspect the file, and so much more for
# each second of audio that it has sent. As a clip's, which may use max_decode_seconds for max_clip_seconds.
CPU_SECONDS = 5.0
CPU_SHARE = 1 / 24
GIVEN_UP = "the recording was given up before it was decoded"


class Recording(Iterator[Waveform]):
    """One recording while it is decoded. One thread iterates, and may wait: an event loop needs one for it.

    Attributes:
        pid: of its process.
        seconds: that it says it has, known from the first block on; None where that is not known before it is decoded.
        skipped_frames: damaged frames of the codec; known at the end.
        cpu_seconds: that its process used; known at the end.
    """

    seconds: float | None = None
    skipped_frames = 0
    cpu_seconds = 0.0

    def __init__(
        self, server: ForkServer, pid: int, connection: socket.socket, request: dict[str, Any]
    ) -> None:
        self.pid = pid
        self._server, self._connection, self._request = server, connection, request
        self._received = 0  # samples
        self._most = int(request["max_seconds"] * request["sampling_rate"]) + 1
        self._over = self._closed = False
        self._reading = threading.Lock()
        self._ended: int | None = None
        self._ending = threading.Lock()

    def __next__(self) -> Waveform:
        """Return the next block: `block_seconds` of samples, the last one fewer.

        Raises:
            RequestError: what is wrong with the recording, as for a clip; RecordingTooLong past `max_seconds`;
                DeadlineExceeded if its process gives nothing for HANG_SECONDS, or after `close`.
        """
        with self._reading:
            if self._over:
                raise StopIteration
            if self._closed:
                self._over = True
                raise DeadlineExceeded(GIVEN_UP)
            try:
                return self._next()
            except TimeoutError as exc:
                self._over = True
                self._end()
                message = (
                    f"the recording was not decoded for {HANG_SECONDS:.0f} s because the server is too busy"
                )
                raise DeadlineExceeded(f"{message}: try again", fault=Fault(HANG)) from exc
            except (OSError, ValueError, TypeError, KeyError, RecursionError, Lost) as exc:
                self._over = True
                if self._closed:
                    raise DeadlineExceeded(GIVEN_UP) from exc
                raise self._lost(self._end()) from exc

    def _next(self) -> Waveform:
        deadline = time.monotonic() + HANG_SECONDS
        kind, size = PART.unpack(self._receive(bytearray(PART.size), deadline))
        if kind == LENGTH and self.seconds is None and not self._received:
            self.seconds = size / 1e3
            kind, size = PART.unpack(self._receive(bytearray(PART.size), deadline))
        if kind == SAMPLES and 0 < size <= min(self._request["block_samples"], self._most - self._received):
            self._received += size
            block = np.empty(size, np.float32)
            self._receive(block.data.cast("B"), deadline)
            return block
        if kind != RESULT or size > LONGEST_LINE:
            raise Lost("the process sends more than it may")
        reply = json.loads(self._receive(bytearray(size), deadline))
        self._over = True
        if not isinstance(reply, dict):
            raise Lost("the process's result is no object")
        if "error" in reply or "fault" in reply:
            raise self._told(told(reply, MEMORY))
        self.skipped_frames, self.cpu_seconds = int(reply["skipped_frames"]), float(reply["cpu_seconds"])
        raise StopIteration

    def _receive(self, buffer: Any, deadline: float) -> Any:
        view = memoryview(buffer)
        while view:
            self._connection.settimeout(max(deadline - time.monotonic(), 1e-3))
            size = self._connection.recv_into(view)
            if not size:
                raise Lost("the process has ended")
            view = view[size:]
        return buffer

    def _told(self, error: RequestError) -> RequestError:
        if not isinstance(error, AudioTooLong):
            return error
        most: float = self._request["max_seconds"]
        return RecordingTooLong(f"the recording is longer than {most:g} s, the limit: split it", seconds=most)

    def _lost(self, status: int | None) -> RequestError:
        error = ended(status, CPU_SECONDS)
        if isinstance(error, AudioTooCostly):
            message = (
                f"decoding takes more CPU time than {CPU_SECONDS:g} s and {CPU_SHARE:.2g} of the recording's length, "
                "which is the limit: send PCM or FLAC"
            )
            return AudioTooCostly(message, fault=error.fault)
        return error

    def _end(self) -> int | None:
        """End the process once, and return its wait status."""
        with self._ending:
            if self.pid:
                self._ended, self.pid = self._server.end(self.pid), 0
            return self._ended

    def close(self) -> None:
        """End the process, whether or not it has finished. Safe from any thread, and more than once."""
        self._closed = True
        with contextlib.suppress(OSError):  # it has been closed
            self._connection.shutdown(socket.SHUT_RDWR)
        self._end()
        with self._reading:  # an iteration has noticed
            self._connection.close()

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
        min_samples: fewest samples of a recording: the model's minimum.
    """

    def __init__(self, *, sampling_rate: int, max_seconds: float, min_samples: int = 1) -> None:
        self._request = {
            "sampling_rate": sampling_rate,
            "max_seconds": max_seconds,
            "min_samples": min_samples,
            "cpu_seconds": CPU_SECONDS,
            "cpu_share": CPU_SHARE,
        }
        self.server = ForkServer(MEMORY, 0)

    def open(self, file: int, *, block_seconds: float) -> Recording:
        """Start to decode a file.

        Args:
            file: descriptor of a complete file on disk; it stays the caller's, and may be closed when this returns.
            block_seconds: length of a block.

        Raises:
            EmptyAudio: there are no bytes.
            OutOfMemory: no process can be started.
        """
        if not os.fstat(file).st_size:
            raise EmptyAudio(EMPTY_BODY)
        block = max(1, round(block_seconds * self._request["sampling_rate"]))
        request = {**self._request, "block_samples": block}
        connection = None
        try:
            connection, theirs = connected()
            with theirs:
                pid = self.server.fork([theirs.fileno(), file], STREAM)
            recording = Recording(self.server, pid, connection, request)
            connection.sendall(json.dumps(request).encode() + b"\n")
        except Lost as exc:
            if connection is not None:
                connection.close()
            raise OutOfMemory("no process can be started to decode the recording: try again") from exc
        except OSError:  # it has ended already: reading says how
            pass
        return recording

    def close(self) -> None:
        """End every process."""
        self.server.close()

    def __enter__(self) -> Recordings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()
