"""Uploads on the disk: unlinked files, so that nothing is left of them however this process ends."""

from __future__ import annotations

import asyncio
import logging
import struct
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from speaker_id.clip import Clip, EncodedAudio
from speaker_id.errors import EMPTY_BODY, EmptyAudio, RequestTooLarge

UPLOADS = 4  # of the largest size that have room at a time
PIECE = 1 << 20  # bytes that are written at once, in a thread
FLOAT = 3  # of a WAV file's format: samples are float32
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spooled:
    """A complete upload.

    Attributes:
        file: open, for as long as it is needed.
        size: in bytes.
    """

    file: IO[bytes]
    size: int

    def read(self) -> bytes:
        """Return all of it."""
        self.file.seek(0)
        return self.file.read()


class Full(Exception):
    """There is no room for one more upload."""


class Spool:
    """Writes uploads.

    Args:
        folder: on whose file system they are.
        most_bytes: of one upload; of all together UPLOADS times that.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes, self.used = folder, most_bytes, 0

    @asynccontextmanager
    async def upload(self, pieces: AsyncIterable[bytes]) -> AsyncIterator[Spooled]:
        """Write an upload while it is received, and keep it inside the block.

        Raises:
            EmptyAudio: of no bytes.
            RequestTooLarge: of more than `most_bytes`.
            Full: uploads take all the room, or the disk has none.
        """
        held, size = bytearray(), 0
        with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
            try:
                async for piece in pieces:
                    size, self.used = size + len(piece), self.used + len(piece)
                    self._check(size)
                    held += piece
                    if len(held) >= PIECE:
                        await asyncio.to_thread(_write, file, bytes(held))
                        held.clear()
                await asyncio.to_thread(_write, file, bytes(held))
                if not size:
                    raise EmptyAudio(EMPTY_BODY)
                yield Spooled(file, size)
            finally:
                self.used -= size

    def _check(self, size: int) -> None:
        if size > self.most_bytes:
            raise RequestTooLarge(
                f"the recording is larger than {self.most_bytes} bytes, the most that is kept of one: compress it"
            )
        if self.used > UPLOADS * self.most_bytes:
            raise Full


def _write(file: IO[bytes], data: bytes) -> None:
    """Write all of it: one call may write less, as on a disk that becomes full."""
    left = memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as exc:
        log.warning("an upload cannot be written: %s", exc.strerror)
        raise Full from exc


def whole(clip: Clip) -> bytes:
    """Return a clip that is in memory as a file: samples as WAV."""
    if isinstance(clip, EncodedAudio):
        return bytes(clip.data)
    rows = np.atleast_2d(clip.samples)
    content = np.ascontiguousarray(rows.T, "<f4").tobytes()
    channels, rate = len(rows), clip.sampling_rate
    format_ = struct.pack("<HHIIHH", FLOAT, channels, rate, rate * 4 * channels, 4 * channels, 32)
    chunks = (
        b"fmt "
        + struct.pack("<I", len(format_))
        + format_
        + b"data"
        + struct.pack("<I", len(content))
        + content
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
