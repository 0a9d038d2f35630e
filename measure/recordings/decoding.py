"""What a long recording costs to decode: memory, processor time, and how soon its first block is there.

python -m measure.recordings.decoding
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

import av
import numpy as np
import soundfile
from speaker_id.clip import SAMPLING_RATE
from speaker_id.decoders.recording import Recordings

from bundle.command_line import Parser
from measure import command, sampling, workload
from measure.chaos.recordings import Samples, by_ffmpeg, by_libsndfile
from measure.machine import provenance
from measure.recordings import DECODING, page

SECONDS = (120, 3600)
QUICK = {"seconds": [120]}
PIECE = 60  # seconds that are repeated
BLOCK_SECONDS = 10.0
Format = Callable[[int, BinaryIO], object]  # writes the piece so many times


def by_pcm(container: str, samples: Samples, times: int, file: BinaryIO) -> None:
    with soundfile.SoundFile(file, "w", 44_100, len(samples), "PCM_16", format=container) as writer:
        for _ in range(times):
            writer.write(samples.T)


def by_packets(source: str, container: str, piece: bytes, times: int, file: BinaryIO) -> None:
    """The packets of an encoded piece, again and again, with times that go on."""
    with av.open(file, "w", format=container) as writer:
        stream: Any = None
        at: int | None = None
        for _ in range(times):
            with av.open(io.BytesIO(piece), "r", format=source) as reader:
                stream = stream or writer.add_stream_from_template(reader.streams.audio[0])
                for packet in reader.demux(audio=0):
                    if packet.size:
                        at = packet.pts or 0 if at is None else at
                        packet.pts = packet.dts = at
                        at += packet.duration or 0
                        packet.stream = stream
                        writer.mux(packet)


def _pcm(container: str) -> Format:
    return lambda times, file: by_pcm(container, speech(44_100, 2), times, file)


def _packets(
    source: str, container: str, encode: Callable[[Samples, int], bytes], rate: int, channels: int
) -> Format:
    return lambda times, file: by_packets(
        source, container, encode(speech(rate, channels), rate), times, file
    )


def _chain(encode: Callable[[Samples, int], bytes], rate: int, channels: int) -> Format:
    return lambda times, file: file.write(times * encode(speech(rate, channels), rate))


FORMATS: dict[str, Format] = {
    "WAV, 44.1 kHz stereo": _pcm("WAV"),
    "FLAC, 44.1 kHz stereo": _pcm("FLAC"),
    "MP3, 44.1 kHz stereo": _packets(
        "mp3", "mp3", partial(by_libsndfile, "MP3", "MPEG_LAYER_III"), 44_100, 2
    ),
    "M4A (AAC), 44.1 kHz stereo": _packets("mp4", "ipod", partial(by_ffmpeg, "ipod", "aac"), 44_100, 2),
    "Ogg Opus, mono, a chain": _chain(partial(by_ffmpeg, "ogg", "libopus"), 48_000, 1),
    "WebM Opus, mono": _packets("matroska", "webm", partial(by_ffmpeg, "webm", "libopus"), 48_000, 1),
}


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m measure.recordings.decoding", description="Measure long decodes.")
    parser.add_argument(
        "--seconds", type=int, nargs="+", default=SECONDS, help="of the recordings (%(default)s)"
    )
    options = command.parsed(parser, arguments, QUICK)

    def work() -> None:
        screen, rows = command.console(), []
        with Recordings(sampling_rate=SAMPLING_RATE, max_seconds=max(options.seconds) + 60) as recordings:
            for name, write in FORMATS.items():
                for seconds in options.seconds:
                    rows.append({"format": name, **decoded(recordings, write, seconds)})
                    screen.print(f"{name}: {rows[-1]}")
        content = {"provenance": provenance("av", "soundfile", "soxr"), "rows": rows}
        screen.print(page.costs(content).rich())
        if not options.no_record:
            page.record(content, DECODING)

    return command.guarded("measure.recordings.decoding", work)


def decoded(recordings: Recordings, write: Format, seconds: int) -> dict[str, float]:
    """Decode one recording of speech; gives its row."""
    with tempfile.TemporaryFile() as file:
        write(seconds // PIECE, file)
        file.flush()
        size = file.seek(0, io.SEEK_END)
        began, first, peak, samples = time.monotonic(), 0.0, 0, 0
        with recordings.open(file.fileno(), block_seconds=BLOCK_SECONDS) as recording:
            for block in recording:
                first = first or time.monotonic() - began
                samples += len(block)
                peak = sampling.peaks(recording.pid).get("HWM", peak)  # none once it has ended
        return {
            "seconds": round(samples / SAMPLING_RATE, 1),
            "file_bytes": size,
            "peak_bytes": peak,
            "cpu_seconds": recording.cpu_seconds,
            "first_seconds": first,
        }


def speech(rate: int, channels: int) -> Samples:
    """PIECE seconds of the demo's voices, at another rate; their pitch does not matter here."""
    return np.tile(workload.speech(PIECE, rate), (channels, 1))


if __name__ == "__main__":
    sys.exit(main())
