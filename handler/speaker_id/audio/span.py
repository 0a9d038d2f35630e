"""A file of any size that is inspected and decoded without being read into memory.

Inspectors take `bytes`; a `Span` has all that they use of it, over the pages of a file that the system keeps or drops
as it likes. Decoders read it through `SpanFile`, which leaves nothing of it in this process.
"""

from __future__ import annotations

import io
import mmap
import os
from typing import Any

import numpy as np

LONGEST_COPY = 1 << 16  # bytes; a shorter slice is `bytes`, such as each of 64 joined recordings
STEP = 8 << 20  # bytes of a search before the pages are dropped


class Span(np.ndarray[Any, np.dtype[np.uint8]]):
    """A range of a mapped file: a buffer, for `re` and `struct`, with indices, slices and searches like those of bytes.

    A class of Python's own can be a buffer only from 3.12 on; an array is one.

    Attributes:
        file: the file's descriptor.
        start: of the range, in bytes.
    """

    file: int
    start: int
    _pages: mmap.mmap

    @classmethod
    def of(cls, file: int) -> Span:
        """Map a whole file, which is not empty. Needs another descriptor for a moment."""
        pages = mmap.mmap(file, 0, prot=mmap.PROT_READ)
        span = np.frombuffer(pages, np.uint8).view(cls)
        span.file, span.start, span._pages = file, 0, pages
        return span

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, slice):
            return int(super().__getitem__(key))
        start, stop, step = key.indices(len(self))
        assert step == 1, "a range has no gaps"
        part: Any = super().__getitem__(slice(start, max(start, stop)))
        if len(part) < LONGEST_COPY:
            return part.tobytes()
        part.file, part.start, part._pages = self.file, self.start + start, self._pages
        return part

    def __bool__(self) -> bool:
        return len(self) > 0

    def startswith(self, prefix: bytes | tuple[bytes, ...], start: int = 0) -> bool:
        longest = len(prefix) if isinstance(prefix, bytes) else max(map(len, prefix))
        found: bool = self[start : start + longest].startswith(prefix)
        return found

    def find(self, wanted: bytes, start: int = 0) -> int:
        end = self.start + len(self)
        for at in range(self.start + start, end, STEP):
            found = self._pages.find(wanted, at, min(at + STEP + len(wanted) - 1, end))
            if found >= 0:
                return found - self.start
            if at > self.start + start:
                self.forget()
        return -1

    def rfind(self, wanted: bytes, start: int = 0, end: int | None = None) -> int:
        last = self.start + (len(self) if end is None else min(end, len(self)))
        return max(-1, self._pages.rfind(wanted, self.start + start, last) - self.start)

    def count(self, wanted: bytes) -> int:
        number, at = 0, self.find(wanted)
        while at >= 0:
            number, at = number + 1, self.find(wanted, at + len(wanted))
        return number

    def forget(self) -> None:
        """Drop the file's pages from this process; they are read again where they are needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._pages.madvise(mmap.MADV_DONTNEED)


class SpanFile(io.RawIOBase):
    """A range of a file, read from its descriptor, for a C library that may ask for any position."""

    def __init__(self, span: Span) -> None:
        self._file, self._start, self._size = span.file, span.start, len(span)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        data = os.pread(self._file, left if size < 0 else min(size, left), self._start + self._position)
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; a position that is not possible leaves it unchanged, as MediaBytes does."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}.get(whence)
        if base is not None and 0 <= base + offset < 1 << 63:
            self._position = base + offset
        return self._position
