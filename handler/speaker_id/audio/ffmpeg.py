"""MP3, AAC, MP4/M4A/3GP, WebM/Matroska, AMR and the codecs that libsndfile lacks, through PyAV's own FFmpeg.

FFmpeg never probes: it gets the one demuxer that our sniffing chose, on bytes in memory, and may open nothing
else: no playlist, no external reference, no protocol, and no decoder outside CODECS.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, NoReturn

import av
import av.logging
import numpy as np
import numpy.typing as npt
from av.audio.frame import format_dtypes

from speaker_id.audio import isobmff
from speaker_id.audio.layout import Block, check_layout, check_length
from speaker_id.audio.media import Media, MediaBytes
from speaker_id.errors import CorruptAudio, UnsupportedMedia

av.logging.set_level(None)  # what FFmpeg thinks of a caller's bytes stays out of the worker's log

BLOCK_FRAMES = 1 << 16  # joined before they are resampled: a codec's own frames are as short as 20 ms
DURATION_SLACK = 1.0  # s; a container's duration counts priming and padding that the decoder drops

# fmt: off
CODECS = frozenset([
    "aac", "alac", "flac", "mp3", "mp3float", "opus", "libopus", "vorbis", "speex", "libspeex", "g722", "adpcm_g722",
    "amrnb", "amrwb", "pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8",
    "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be",
    "pcm_f64le", "pcm_f64be",
])
# fmt: on
# FFmpeg's own AMR decoders refuse the comfort noise that phones put into pauses (DTX); 3GPP's reference does not.
BETTER_DECODERS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}


def blocks(data: bytes, media: Media, max_seconds: float) -> Generator[Block]:
    """Decode block-wise; blocks are (channels, frames).

    Raises:
        UnsupportedMedia: no audio track, or one in a codec outside CODECS.
        UnsupportedLayout: a rate or channel count outside the limits.
        AudioTooLong: the container states a longer duration.
        CorruptAudio: FFmpeg cannot open or decode the content.
    """
    assert media.demuxer is not None
    try:
        with av.open(
            MediaBytes(data),
            "r",
            format=media.demuxer,
            container_options={
                "codec_whitelist": ",".join(sorted(CODECS)),
                "format_whitelist": media.demuxer,
                "protocol_whitelist": "none",
            },
            metadata_errors="replace",
            io_open=refuse,
        ) as container:
            stream = audio_stream(container, media)
            check_duration(stream, media, max_seconds)
            yield from _join(_frames(container, stream, media))
    except (av.FFmpegError, OSError) as exc:
        raise CorruptAudio(f"{media.name} content does not decode") from exc


def refuse(_url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    """FFmpeg's request to open anything beside the bytes it was given."""
    raise PermissionError("media may not refer to anything outside itself")


def audio_stream(container: Any, media: Media) -> Any:
    """The audio track that a player would choose; the others are dropped unparsed."""
    stream = container.streams.best("audio")
    if stream is None:
        raise UnsupportedMedia(f"{media.name} without an audio track; send audio")
    codec = stream.codec_context.name if stream.codec_context else "unknown"
    if codec not in CODECS:
        raise UnsupportedMedia(f"{media.name} with audio codec {codec!r}, which is not supported")
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all
    return stream


def check_duration(stream: Any, media: Media, max_seconds: float) -> None:
    """Raise AudioTooLong from what the container states, where that is not FFmpeg's guess from a bit rate."""
    seconds = media.seconds
    if media.demuxer == isobmff.DEMUXER and stream.duration:
        seconds = float(stream.duration * stream.time_base)
    if seconds is not None and seconds > max_seconds + DURATION_SLACK:
        check_length(seconds, 1, max_seconds)


def _frames(container: Any, stream: Any, media: Media) -> Iterator[Any]:
    decoder = stream.codec_context
    if decoder.name in BETTER_DECODERS:
        decoder = av.CodecContext.create(BETTER_DECODERS[decoder.name], "r")
    damaged: av.FFmpegError | None = None
    for packet in container.demux(stream):
        if damaged and packet.size:
            raise damaged
        try:
            yield from decoder.decode(packet)
        except av.FFmpegError as exc:
            # The end of a live stream cuts its last frame; damage anywhere else is damage.
            if not media.elementary:
                raise
            damaged = exc


def _join(frames: Iterator[Any]) -> Iterator[Block]:
    """Frames → blocks. FFmpeg's own queue joins them: two threads would fight for the lock over 50 arrays a second.

    The queue trusts its caller that the format and the channels stay the same, so every change starts a new one.
    """
    queue = av.AudioFifo()
    kind = None
    for frame in frames:
        if not frame.samples:
            continue
        frame.pts = None  # gaps in the timestamps are not silence in the recording
        arrived = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if arrived != kind or queue.samples >= BLOCK_FRAMES:
            yield from _drain(queue)
            check_layout(frame.sample_rate, frame.layout.nb_channels)
            queue, kind = av.AudioFifo(), arrived
        queue.write(frame)
    yield from _drain(queue)


def _drain(queue: Any) -> Iterator[Block]:
    if queue.samples:
        joined = queue.read()
        yield Block(to_float(joined), joined.sample_rate)


def to_float(frame: Any) -> npt.NDArray[np.float32]:
    """A decoded frame as float32, (channels, samples), full scale at ±1."""
    samples = _planes(frame)
    if frame.format.is_packed:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = samples.view(np.int8) ^ np.int8(-128)  # unsigned bytes are biased by half the scale
    if samples.dtype.kind == "i":
        full_scale = np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
        samples = np.divide(samples, full_scale, dtype=np.float32, casting="unsafe")
    return np.asarray(samples, np.float32)


def _planes(frame: Any) -> npt.NDArray[Any]:
    """`frame.to_ndarray()`, which in PyAV 18.1 takes a frame of eight planes for one of nine, and ends the process."""
    count, planes = frame.samples * frame.layout.nb_channels, 1
    if frame.format.is_planar:
        count, planes = frame.samples, frame.layout.nb_channels
    dtype = np.dtype(format_dtypes[frame.format.name])
    return np.vstack([np.frombuffer(plane, dtype, count) for plane in frame.planes[:planes]])
