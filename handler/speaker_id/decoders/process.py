"""The worker's side of one decoder process.

Nothing that comes from a decoder is trusted: replies are bounded and parsed as data, samples are copied out of the
shared memory and never mapped, so that no decoder can take them away while the worker reads.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from speaker_id.clip import Waveform
from speaker_id.decoders.forking import ForkServer
from speaker_id.decoders.wire import LONGEST_LINE, Lost, connected, shared_memory, write

KEPT_SAMPLES = 4 << 20  # bytes of a waveform's shared memory between two clips: a minute at 16 kHz


class DecoderProcess:
    """One decoder process after another, with the memory that they share with the worker. Not thread-safe.

    Attributes:
        pid: of the decoder; None where there is none.
    """

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self._body, self._samples = shared_memory("clip"), shared_memory("samples")
        self._connection: socket.socket | None = None
        self._statm: int | None = None  # kept open: opening it for each clip costs more than reading it
        self.pid: int | None = None

    def start(self) -> None:
        """Fork a decoder, unless one is running.

        Raises:
            Lost: no fork server can be started.
        """
        if self.pid is None:
            self._connection, theirs = connected()
            try:
                with theirs:
                    pid = self._server.fork([theirs.fileno(), self._body, self._samples])
            except Lost:
                self._connection.close()
                raise
            with contextlib.suppress(OSError):  # no Linux
                self._statm = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
            self.pid = pid

    def ask(
        self, request: dict[str, Any], data: bytes | bytearray | memoryview, seconds: float
    ) -> dict[str, Any]:
        """Decode one clip.

        Args:
            request: what to do; the clip's size is added.
            data: the clip.
            seconds: to wait for the reply.

        Raises:
            Lost: it ended, or its reply is not a decoder's.
            TimeoutError: there is no reply yet; the decoder is still working.
        """
        assert self._connection is not None
        deadline = time.monotonic() + seconds
        line = json.dumps({**request, "size": len(data)}).encode() + b"\n"
        try:
            write(self._body, memoryview(data).cast("B"))
            os.ftruncate(self._body, len(data))  # drop what is left of a longer clip before
            self._connection.settimeout(seconds)
            self._connection.sendall(line)
            reply = b""
            while not reply.endswith(b"\n") and len(reply) < LONGEST_LINE:
                self._connection.settimeout(max(deadline - time.monotonic(), 1e-3))
                part = self._connection.recv(LONGEST_LINE)
                if not part:
                    raise Lost("the decoder has ended")
                reply += part
            parsed = json.loads(reply)
        except TimeoutError:
            raise
        except (OSError, ValueError, RecursionError) as exc:
            raise Lost("the decoder has ended, or its reply is no JSON") from exc
        if not isinstance(parsed, dict):
            raise Lost("the decoder's reply is no object")
        return parsed

    def waveform(self, samples: int) -> Waveform:
        """Copy the reply's samples out of the shared memory.

        Raises:
            Lost: there are fewer.
        """
        result = np.empty(samples, np.float32)
        if os.preadv(self._samples, [result.data.cast("B")], 0) != result.nbytes:
            raise Lost("the decoder wrote fewer samples than it says")
        if result.nbytes > KEPT_SAMPLES:
            os.ftruncate(self._samples, 0)
        return result

    @property
    def resident_bytes(self) -> int:
        """Resident memory of the decoder; 0 where the system does not say."""
        try:
            pages = os.pread(self._statm, 100, 0).split()[1] if self._statm is not None else 0
        except (OSError, IndexError):  # it has just ended
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> int | None:
        """End the decoder and return its wait status; None if it is unknown."""
        return self.give_up()()

    def give_up(self) -> Callable[[], int | None]:
        """Forget the decoder at once; return what ends it, to be called where it may take a while."""
        pid, self.pid = self.pid, None
        return functools.partial(self._end, pid)

    def _end(self, pid: int | None) -> int | None:
        status = self._server.end(pid) if pid is not None else None
        # not before: a live decoder would exit by itself, with the status of one without a fault
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._statm is not None:
            os.close(self._statm)
            self._statm = None
        os.ftruncate(self._samples, 0)
        return status

    def close(self) -> None:
        """End the decoder and free the shared memory."""
        self.end()
        os.close(self._body)
        os.close(self._samples)
