"""The worker's side of the decoder processes, and of the fork server that makes them.

Nothing that comes from a decoder is trusted: replies are bounded and parsed as data, samples are copied out of the
shared memory and never mapped, so that no decoder can pull them away while the worker reads.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speaker_id.clip import Waveform
from speaker_id.decoders.wire import (
    ANSWER,
    COMMAND,
    END,
    FILTERED,
    FORK,
    LONGEST_LINE,
    UNFILTERED,
    UNKNOWN,
    Lost,
    connected,
    shared_memory,
    write,
)

START_SECONDS = 120.0  # for imports on a busy machine; they take half a second on a quiet one
KEPT_SAMPLES = 4 << 20  # bytes of a waveform's shared memory between two clips: a minute at 16 kHz
ANSWER_SECONDS = 3.0  # for the fork server, whose work takes milliseconds; callers wait meanwhile
ROOT = Path(__file__).resolve().parents[2]  # holds the package
# A decoder gets no other variable of the worker's: credentials, for one, are none of its business.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
# One thread and one heap: a decoder has one clip at a time.
OWN = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
# What one clip has freed the next one takes: given back to the system at once, it costs hundreds of page faults a clip.
OWN |= {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}


class ForkServer:
    """Makes and ends decoder processes; started again by itself should it be gone. Safe to use from many threads.

    Args:
        memory: bytes of address space that a decoder may take beyond what it starts with.
        file_bytes: most bytes of a waveform in shared memory.

    Attributes:
        filtered: whether the kernel filters the decoders' system calls; known once one has been forked.
    """

    filtered = False

    def __init__(self, memory: int, file_bytes: int) -> None:
        self._arguments = (str(memory), str(file_bytes))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def fork(self, descriptors: Sequence[int]) -> int:
        """Start a decoder that has these descriptors, and return its process id.

        Raises:
            Lost: the fork server does not start.
        """
        with self._lock:
            pid = UNKNOWN
            if self._connection is not None:
                with contextlib.suppress(Lost):
                    pid = self._ask(FORK, 0, descriptors)
            if self._connection is None:
                self._start()
                pid = self._ask(FORK, 0, descriptors)
            if pid == UNKNOWN:
                raise Lost("no process more can be started")
            return pid

    def end(self, pid: int) -> int | None:
        """End a decoder and return its wait status; None if its fork server is gone, and the decoder with it."""
        with self._lock, contextlib.suppress(Lost):
            status = self._ask(END, pid)
            return None if status == UNKNOWN else status
        return None

    def close(self) -> None:
        """End the fork server; on Linux its decoders end with it, elsewhere when their connections close."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        self._connection, theirs = connected()
        command = [
            sys.executable,
            "-m",
            "speaker_id.decoders.fork_server",
            str(theirs.fileno()),
            *self._arguments,
        ]
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={name: os.environ[name] for name in PASSED_ON if name in os.environ} | OWN,
                )
            except OSError as exc:  # no memory, or no process more
                self._stop()
                raise Lost("the fork server does not start") from exc
        self._connection.settimeout(START_SECONDS)
        ready = self._receive(len(FILTERED))
        if ready not in (FILTERED, UNFILTERED):
            self._stop()
            raise Lost("the fork server does not start")
        self.filtered = ready == FILTERED
        self._connection.settimeout(ANSWER_SECONDS)

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ask(self, command: bytes, pid: int, descriptors: Sequence[int] = ()) -> int:
        if self._connection is None:
            raise Lost("there is no fork server")
        try:
            socket.send_fds(self._connection, [COMMAND.pack(command, pid)], descriptors)
        except OSError as exc:
            self._stop()
            raise Lost("the fork server has ended") from exc
        return int(ANSWER.unpack(self._receive(ANSWER.size))[0])

    def _receive(self, size: int) -> bytes:
        """An answer; a fork server that fails to give one is ended, else the next would be its answer to this."""
        assert self._connection is not None
        data = b""
        try:
            while len(data) < size:
                part = self._connection.recv(size - len(data))
                if not part:
                    raise Lost("the fork server has ended")
                data += part
        except OSError as exc:
            self._stop()
            raise Lost("the fork server does not answer") from exc
        except (Lost, MemoryError):
            self._stop()
            raise
        return data


class DecoderProcess:
    """One decoder process after another, with the memory that they share with the worker. For one thread at a time.

    Attributes:
        pid: of the decoder; None where there is none, or it has been given up.
    """

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self._body, self._samples = shared_memory("clip"), shared_memory("samples")
        self._connection: socket.socket | None = None
        self._statm: int | None = None  # kept open: opening it again for each clip costs more than reading it
        self.pid: int | None = None

    def start(self) -> None:
        """Fork a decoder, unless one is running.

        Raises:
            Lost: there is no fork server to be had.
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
        """Have one clip decoded.

        Args:
            request: what to do; the clip's size is added.
            data: the clip.
            seconds: to wait for the reply.

        Raises:
            Lost: it ended, or says something that no decoder says.
            TimeoutError: there is no reply yet; the decoder is still at it.
        """
        assert self._connection is not None
        deadline = time.monotonic() + seconds
        line = json.dumps({**request, "size": len(data)}).encode() + b"\n"
        try:
            write(self._body, memoryview(data).cast("B"))
            os.ftruncate(self._body, len(data))  # nothing of a longer clip before stays
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
        """Take the reply's samples out of the shared memory.

        Raises:
            Lost: there are not so many.
        """
        result = np.empty(samples, np.float32)
        if os.preadv(self._samples, [result.data.cast("B")], 0) != result.nbytes:
            raise Lost("the decoder wrote fewer samples than it says")
        if result.nbytes > KEPT_SAMPLES:
            os.ftruncate(self._samples, 0)
        return result

    @property
    def resident_bytes(self) -> int:
        """Memory that the decoder has now; 0 where the system does not say."""
        try:
            pages = os.pread(self._statm, 100, 0).split()[1] if self._statm is not None else 0
        except (OSError, IndexError):  # it has just ended
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> int | None:
        """End the decoder and return its wait status; None where nobody knows it."""
        return self.give_up()()

    def give_up(self) -> Callable[[], int | None]:
        """Have no decoder any more, at once; what ends it, which may take a while, is returned to be called."""
        pid, self.pid = self.pid, None
        return functools.partial(self._end, pid)

    def _end(self, pid: int | None) -> int | None:
        status = self._server.end(pid) if pid is not None else None
        if (
            self._connection is not None
        ):  # not before: a decoder that is alive would end by itself, as if it were well
            self._connection.close()
            self._connection = None
        if self._statm is not None:
            os.close(self._statm)
            self._statm = None
        os.ftruncate(self._samples, 0)
        return status

    def close(self) -> None:
        """End the decoder and give up the shared memory."""
        self.end()
        os.close(self._body)
        os.close(self._samples)
