"""What FFmpeg makes of bodies, as its command line would: it probes, takes the best audio track, goes on after errors.

A program of its own (`python ffmpeg_says.py < bodies`), since a fault of a decoder ends the process: each body is its
length in 8 bytes and its bytes; each answer a line of the seconds that were decoded.
"""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from collections.abc import Sequence

LONGEST = 130.0  # s; more is not decoded
ENDED = -1.0  # FFmpeg ended the process


def seconds(body: bytes) -> float:
    import av

    total = 0.0
    try:
        with av.open(io.BytesIO(body)) as container:
            stream = container.streams.best("audio")
            if stream is None or stream.codec_context is None:
                return 0.0
            for packet in container.demux(stream):
                try:
                    frames = stream.codec_context.decode(packet)
                except av.FFmpegError:
                    continue
                total += sum(frame.samples / (frame.sample_rate or 1) for frame in frames)
                if total > LONGEST:
                    break
    except (av.FFmpegError, ValueError, OverflowError):
        pass
    return total


def says(bodies: Sequence[bytes]) -> list[float]:
    """Seconds that FFmpeg decodes of each body; ENDED where it ended its process."""
    found: list[float] = []
    while len(found) < len(bodies):
        rest = bodies[len(found) :]
        asked = b"".join(struct.pack("<Q", len(body)) + body for body in rest)
        done = subprocess.run([sys.executable, __file__], input=asked, capture_output=True, timeout=600)
        found += [float(line) for line in done.stdout.split()]
        if len(found) < len(bodies):
            found.append(ENDED)
    return found


if __name__ == "__main__":
    import av.logging

    av.logging.set_level(None)
    while size := sys.stdin.buffer.read(8):
        sys.stdout.write(f"{seconds(sys.stdin.buffer.read(struct.unpack('<Q', size)[0]))}\n")
        sys.stdout.flush()
