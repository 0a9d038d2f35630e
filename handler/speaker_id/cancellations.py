"""Which requests nobody waits for any more: their callers hung up, and no model server's queue drops one for that.

The gateway, which knows, appends what it calls such a request to a file that the server names, one a line. Workers read
what is new in it before they decode or encode. What a worker has not read when the file is truncated is lost, which
costs no more than that work. Without a file every request is processed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

FILE_VARIABLE = "SPEAKER_ID_CANCELLED"
KEPT = 10_000  # names that are remembered: many times what the queues hold
MOST_BYTES = 1 << 20  # that are read at once, of the newest: more names than are kept


class Cancellations:
    """`name in cancellations` says whether a request was cancelled: one system call while nothing is new. Thread-safe.

    Args:
        file: what the gateway writes, which need not exist; None to process every request.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._inode, self._offset, self._rest = 0, 0, b""  # which file has been read, and how far
        self._names: dict[str, None] = {}  # the latest, in order

    @classmethod
    def from_environment(cls) -> Cancellations:
        file = os.environ.get(FILE_VARIABLE)
        return cls(Path(file) if file else None)

    def __contains__(self, name: object) -> bool:
        if self.file is None or not name:
            return False
        with self._lock:
            with contextlib.suppress(OSError):  # it does not exist yet, or cannot be read
                self._look(self.file)
            return name in self._names

    def _look(self, file: Path) -> None:
        status = file.stat()
        if status.st_ino != self._inode or status.st_size < self._offset:  # another one, or truncated
            self._inode, self._offset, self._rest = status.st_ino, 0, b""
        if status.st_size == self._offset:
            return
        if status.st_size - self._offset > MOST_BYTES:
            self._offset, self._rest = status.st_size - MOST_BYTES, b""
        with file.open("rb", buffering=0) as opened:
            opened.seek(self._offset)
            read = opened.read(MOST_BYTES)
        self._offset += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        self._rest = self._rest[-MOST_BYTES:]
        self._names |= dict.fromkeys(line.decode("ascii", "replace") for line in lines)
        while len(self._names) > KEPT:
            del self._names[next(iter(self._names))]
