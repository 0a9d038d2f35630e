"""The worker's side of the fork server: starts it, has it fork decoder processes, and has it end them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from speaker_id.decoders.wire import (
    ANSWER,
    COMMAND,
    END,
    FILTERED,
    FORK,
    UNFILTERED,
    UNKNOWN,
    Lost,
    connected,
)

START_SECONDS = 120.0  # for imports on a busy machine; they take half a second on a quiet one
ANSWER_SECONDS = 3.0  # for the fork server, whose work takes milliseconds; callers wait meanwhile
ROOT = Path(__file__).resolve().parents[2]  # holds the package
# A decoder gets no other variable of the worker's, which may be credentials.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
# One thread and one heap: a decoder has one clip at a time.
OWN = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
# Memory that one clip frees is kept for the next: returned to the system it costs hundreds of page faults a clip.
OWN |= {"MALLOC_MMAP_THRESHOLD_": str(8 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20)}


class ForkServer:
    """Starts and ends decoder processes; restarts itself if it has ended. Thread-safe.

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

    def fork(self, descriptors: Sequence[int], kind: bytes = FORK) -> int:
        """Start a decoder with these descriptors, and return its process id.

        Args:
            descriptors: those that `wire` says.
            kind: FORK or STREAM.

        Raises:
            Lost: the fork server does not start.
        """
        with self._lock:
            pid = UNKNOWN
            if self._connection is not None:
                with contextlib.suppress(Lost):
                    pid = self._ask(kind, 0, descriptors)
            if self._connection is None:
                self._start()
                pid = self._ask(kind, 0, descriptors)
            if pid == UNKNOWN:
                raise Lost("no more processes can be started")
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
            except OSError as exc:  # no memory, or no more processes
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
        """Receive an answer; a fork server without one is ended, else a late answer would be taken for the next one."""
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
