"""One recognised container: which reader and demuxer decode it, and what is known of it before decoding."""

from __future__ import annotations

import io
from typing import NamedTuple

from speaker_id.audio.span import Span, SpanFile
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
        end: bytes of `data` that belong to it, where its container declares that; None for all.
        seconds: length that the container declares; None if it does not, or if its reader checks it.
        elementary: frames without a container, which declare no end: a truncated last frame is no error.
        padding: samples that the codec may have added to the recording.
        empty: headers without samples, which is an error only where no other recording is joined to them.
        skipped_frames, first_skipped: damaged frames that `data` no longer has, and where the first was, in s.
    """

    name: str
    demuxer: str | None = None
    data: bytes | Span = b""
    end: int | None = None
    seconds: float | None = None
    elementary: bool = False
    padding: int = 0
    empty: bool = False
    skipped_frames: int = 0
    first_skipped: float = 0.0

    def open(self) -> io.IOBase:
        """Return the recording's bytes as a file for a C library."""
        return SpanFile(self.data) if isinstance(self.data, Span) else MediaBytes(self.data)


def check_size(what: str, declared: int, received: int) -> None:
    """Raise TruncatedAudio if `what` declares more bytes than were received."""
    if declared > received:
        raise TruncatedAudio(
            f"{what} declares {declared} bytes but only {received} were received: send the complete file"
        )


def check_samples(what: str, declared: int, received: int, header: int, sample_frame: int) -> None:
    """Raise TruncatedAudio if a chunk of samples declares clearly more bytes than were received.

    Some recorders count the header too, or round up to a block: such a difference does not mean that the end was lost.

    Args:
        what, declared, received: as for check_size.
        header: bytes of the file before the samples.
        sample_frame: bytes of one sample of all channels.
    """
    if declared - received > max(header, sample_frame - 1, 0):
        check_size(what, declared, received)


class MediaBytes(io.BytesIO):
    """Bytes in memory for a C library that may ask for any position.

    A seek that is not possible leaves the position unchanged, as lseek(2) does. An exception cannot pass through the
    library: cffi would print it, with our paths, to stderr.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            return self.tell()
