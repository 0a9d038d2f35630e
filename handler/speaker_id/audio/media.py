"""One recognised container: which reader and demuxer take it, and what is already known of it."""

from __future__ import annotations

import io
from typing import NamedTuple

from speaker_id.errors import TruncatedAudio

# Chunks, boxes or elements that an inspector walks, under Python's lock. 120 s of 20 ms blocks are 6000; a body that
# is nothing but headers would be millions, and seconds.
MAX_PARTS = 100_000


class Media(NamedTuple):
    """What sniffing found.

    Attributes:
        name: for messages.
        demuxer: the one FFmpeg demuxer that may read it; None for libsndfile.
        start: bytes before the container begins (ID3 tags).
        seconds: length that the container states; None if it does not, or if its reader checks it.
        elementary: frames without a container, that state no end: a cut last frame is no error.
        padding: samples that the codec may have added to the recording.
    """

    name: str
    demuxer: str | None = None
    start: int = 0
    seconds: float | None = None
    elementary: bool = False
    padding: int = 0


def check_size(what: str, promised: int, came: int) -> None:
    """Raise TruncatedAudio if `what` promises more bytes than came."""
    if promised > came:
        raise TruncatedAudio(f"{what} promises {promised} bytes, {came} came: send the whole file")


class MediaBytes(io.BytesIO):
    """Bytes in memory for a C library that may ask for any position.

    A seek that cannot be done leaves the position where it is, as lseek(2) does. An exception could not pass
    through the library: cffi would print it, with our paths, to stderr.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()
