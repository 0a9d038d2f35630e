"""Every container and codec that libsndfile lacks or reads worse, through PyAV's FFmpeg.

FFmpeg never probes: it gets the one demuxer that `sniff` chose, on bytes in memory, and may open nothing else: no
playlist, no external reference, no protocol, and no decoder outside CODECS.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import av
import av.logging

from speaker_id.audio import frames, isobmff, matroska
from speaker_id.audio.damage import Damage
from speaker_id.audio.layout import Block, check_length
from speaker_id.audio.media import Media
from speaker_id.errors import CorruptAudio, UnsupportedMedia

av.logging.set_level(None)  # a decoder process discards messages about a caller's bytes: do not format them

DURATION_SLACK = 1.0  # s; a container's duration counts priming and padding that the decoder drops

# fmt: off
CODECS = frozenset([
    "aac", "alac", "flac", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "opus", "libopus", "vorbis",
    "speex", "libspeex", "g722", "adpcm_g722", "g726le", "adpcm_g726le", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt",
    "adpcm_sbpro_2", "adpcm_sbpro_3", "adpcm_sbpro_4", "gsm", "gsm_ms", "amrnb", "amrwb", "pcm_alaw", "pcm_mulaw",
    "pcm_u8", "pcm_s8",
    "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be",
    "pcm_f64le", "pcm_f64be",
])
# fmt: on
WHITELIST = ",".join(sorted(CODECS))
# FFmpeg's own AMR decoders reject the comfort noise that phones put into pauses (DTX); 3GPP's reference does not.
BETTER_DECODERS = {"amrnb": "libopencore_amrnb", "amrwb": "libopencore_amrwb"}
# Of other codecs a damaged frame is skipped, as players do; a caller of a lossless codec wants all of it or an error.
LOSSLESS = frozenset(["flac", "alac"])
OPUS_HEAD = b"OpusHead"
PRE_SKIP = struct.Struct("<10xH")  # of OpusHead: samples at 48 kHz to be dropped (RFC 7845, section 5.1)
# Side data of a packet: samples to drop from its beginning and from its end.
SKIP_SAMPLES = struct.Struct("<II2s")


def blocks(media: Media, max_seconds: float, damage: Damage) -> Generator[Block]:
    """Decode block-wise; blocks are (channels, frames). Damaged frames are left out, and counted in `damage`.

    Raises:
        UnsupportedMedia: no audio track, or one in a codec outside CODECS.
        UnsupportedLayout: a rate or channel count outside the limits.
        AudioTooLong: the container declares a longer duration.
        CorruptAudio: FFmpeg cannot open or decode the content, or too much of it is damaged.
    """
    try:
        with opened(media) as (container, stream):
            check_duration(stream, media, max_seconds)
            yield from frames.join(_frames(container, stream, media, damage))
    except (av.FFmpegError, OSError) as exc:
        raise CorruptAudio(f"{media.name} content cannot be decoded") from exc


@contextmanager
def opened(media: Media) -> Iterator[tuple[Any, Any]]:
    """A container and its audio track, both FFmpeg's. Raises as `blocks`, and FFmpeg's own errors."""
    assert media.demuxer is not None
    with av.open(
        media.open(),
        "r",
        format=media.demuxer,
        container_options={
            "codec_whitelist": WHITELIST,
            "format_whitelist": media.demuxer,
            "protocol_whitelist": "none",
        },
        metadata_errors="replace",
        io_open=refuse,
    ) as container:
        yield container, audio_stream(container, media)


def refuse(_url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    """Reject FFmpeg's request to open anything besides the bytes it was given."""
    raise PermissionError("media may not refer to anything outside itself")


def audio_stream(container: Any, media: Media) -> Any:
    """Choose the audio track that a player would; the others are discarded unparsed."""
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
    """Raise AudioTooLong by the duration that the container declares, unless FFmpeg estimates it from a bit rate."""
    seconds = media.seconds
    if media.demuxer == isobmff.DEMUXER and stream.duration:
        seconds = float(stream.duration * stream.time_base)
    if seconds is not None and seconds > max_seconds + DURATION_SLACK:
        check_length(seconds, 1, max_seconds)


def _frames(container: Any, stream: Any, media: Media, damage: Damage) -> Iterator[Any]:
    """Yield decoded frames; count in `damage` those that could not be decoded.

    The end of a live stream truncates its last frame, which is not damage.
    """
    decoder = stream.codec_context
    if decoder.name in BETTER_DECODERS:
        decoder = av.CodecContext.create(BETTER_DECODERS[decoder.name], "r")
    damage.add(media.name, media.skipped_frames, media.first_skipped)
    failed = None  # size of the packet before, if it did not decode
    for packet in _packets(container, stream, media):
        size = packet.size
        if failed is not None and (size or not media.elementary):
            damage.skip(media.name, failed)
        failed = None
        try:
            decoded = decoder.decode(packet)
        except av.FFmpegError:
            if decoder.name in LOSSLESS and not media.elementary:
                raise
            failed = size
            continue
        if size:
            zeros = _leading_zeros(packet) if media.demuxer == "mp3" else 0
            if zeros:
                damage.skip(media.name, size)
            damage.read(size - zeros)
        for frame in decoded:
            damage.seconds += frame.samples / (frame.sample_rate or 1)
            yield frame
        if damage.decoded > damage.most_frames:
            raise CorruptAudio(f"{media.name} of more than {damage.most_frames} packets")


def _leading_zeros(packet: Any) -> int:
    """Return how many zero bytes precede the frame: FFmpeg's parser includes them, and its decoder skips them."""
    content = memoryview(packet)
    return 0 if content[0] else len(content) - len(bytes(content).lstrip(b"\0"))


def _packets(container: Any, stream: Any, media: Media) -> Iterator[Any]:
    """Yield packets of the chosen stream; where its demuxer can go on after damage, so does this."""
    pre_skip = _pre_skip(stream, media)
    # CAF declares a remainder to be cut off, but this codec's last packet is short already
    short_end = media.demuxer == "caf" and stream.codec_context.name == "alac"
    while True:
        try:
            for packet in container.demux(stream):
                if (pre_skip is not None or short_end) and packet.has_sidedata("skip_samples"):
                    side_data = packet.get_sidedata("skip_samples")
                    begin, end, rest = SKIP_SAMPLES.unpack(bytes(side_data))
                    if pre_skip is not None and begin:
                        begin = pre_skip
                    if short_end:
                        end = 0
                    side_data.update(SKIP_SAMPLES.pack(begin, end, rest))
                    packet.set_sidedata(side_data)
                yield packet
            return
        except av.InvalidDataError:
            if media.demuxer != "aac":
                raise


def _pre_skip(stream: Any, media: Media) -> int | None:
    """Return the samples at 48 kHz to drop from the start of an Opus track; None where FFmpeg drops the right number.

    Matroska declares it twice. Some writers use wrong units for one of the two, CodecDelay, which FFmpeg prefers.
    """
    head = stream.codec_context.extradata or b""
    if media.demuxer != matroska.DEMUXER or not head.startswith(OPUS_HEAD) or len(head) < PRE_SKIP.size:
        return None
    return int(PRE_SKIP.unpack_from(head)[0])
