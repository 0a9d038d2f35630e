"""Which requests workers had when they ended: the next worker gets them, and one of them may be why.

Each worker keeps a file of its own in a folder that the server names, and notes in it the requests that it is
processing. The file is locked for as long as the worker lives: what an unlocked one still has was being processed when
its worker ended, killed by one of these requests or by something else. A request that was noted once is processed
alone, so that it can end nobody's work but its own; one that was noted twice is not given to a third worker.

Without a folder nothing is noted and nothing suspected: the server's gateway retries a request once, and no more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDER_VARIABLE = "SPEAKER_ID_SUSPECTS"
MOST_WORKERS = 2  # that one request may end
KEPT_SECONDS = 24 * 3600.0  # no request waits for longer


class Suspects:
    """What this worker is processing, and what others were when they ended.

    Args:
        folder: of the workers' files, which exists; None to note nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._file = -1
        if folder is not None:
            self._file, name = tempfile.mkstemp(dir=folder)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._name = Path(name).name
            self._forget()

    @classmethod
    def from_environment(cls) -> Suspects:
        folder = os.environ.get(FOLDER_VARIABLE)
        return cls(Path(folder) if folder else None)

    @contextlib.contextmanager
    def noted(self, requests: Sequence[str]) -> Iterator[None]:
        """For the block, these are being processed."""
        self._write("\n".join(requests))
        try:
            yield
        finally:
            self._write("")

    def ended(self) -> Counter[str]:
        """How many workers ended while they were processing each request."""
        # not splitlines(): a caller's id may have what else ends a line in Unicode, and would name another's request
        return Counter(request for _, noted in self._left() for request in set(noted.split("\n")) - {""})

    def _write(self, text: str) -> None:
        if self._file < 0:
            return
        # on a full disk a batch is answered all the same
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, text.encode(), 0)

    def _left(self) -> Iterator[tuple[Path, str]]:
        """The files of workers that have ended, and what they noted."""
        for file in self.folder.iterdir() if self.folder is not None else ():
            if file.name == self._name:
                continue
            # it is locked, or was removed meanwhile
            with contextlib.suppress(OSError), file.open(encoding="utf-8") as opened:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
                yield file, opened.read()

    def _forget(self) -> None:
        """Remove what says nothing any more; not by its size, as another worker may be creating its file just now."""
        for file, _ in self._left():
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > KEPT_SECONDS:
                    file.unlink()
