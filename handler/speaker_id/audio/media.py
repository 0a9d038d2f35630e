"""One recognised container: which reader and demuxer take it, and what is already known of it."""

from __future__ import annotations

import io
from typing import NamedTuple

from speaker_id.errors import TruncatedAudio

# Chunks, boxes, pages or elements that an inspector walks, in Python. 120 s of 20 ms blocks are 6000; a body
# that is nothing but headers would be millions, and seconds.
MAX_PARTS = 100_000


class Media(NamedTuple):
    """What sniffing found: one recording, or one of several that are joined end to end.

    Attributes:
        name: for messages.
        demuxer: the one FFmpeg demuxer that may read it; None for libsndfile.
        data: the bytes of this recording alone.
        end: bytes of `data` that belong to it, as far as its container says where it ends; None for all.
        seconds: length that the container states; None if it does not, or if its reader checks it.
        elementary: frames without a container, that state no end: a cut last frame is no error.
        padding: samples that the codec may have added to the recording.
        empty: headers without samples, which is an error only where nothing is joined to them.
        skipped_frames, first_skipped: damaged frames that are missing in `data` already; where the first was, in s.
    """

    name: str
    demuxer: str | None = None
    data: bytes = b""
    end: int | None = None
    seconds: float | None = None
    elementary: bool = False
    padding: int = 0
    empty: bool = False
    skipped_frames: int = 0
    first_skipped: float = 0.0


def check_size(what: str, declared: int, received: int) -> None:
    """Raise TruncatedAudio if `what` declares more bytes than were received."""
    if declared > received:
        raise TruncatedAudio(
            f"{what} declares {declared} bytes but only {received} were received: send the complete file"
        )


def check_samples(what: str, declared: int, received: int, header: int, sample_frame: int) -> None:
    """Raise TruncatedAudio if a chunk of samples declares clearly more bytes than were received.

    Recorders are known to count the header too, or to round up to a block: so much is no sign of a lost end.

    Args:
        what, declared, received: as for check_size.
        header: bytes of the file before the samples.
        sample_frame: bytes of one sample of all channels.
    """
    if declared - received > max(header, sample_frame - 1, 0):
        check_size(what, declared, received)


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
