"""What the bytes are, by content alone: never by an extension or a content type.

Only what is recognised here reaches a decoder, and through the one demuxer named here. Playlists, session
descriptions, text, images and archives have no entry, so no decoder ever sees them.
"""

from __future__ import annotations

from collections.abc import Callable

from speaker_id.audio import flac, isobmff, matroska, mpeg, ogg, riff
from speaker_id.audio.media import Media
from speaker_id.errors import EmptyAudio, UnsupportedMedia

SUPPORTED = "WAV, AIFF, FLAC, Ogg (Vorbis, Opus, FLAC, Speex), MP3, AAC, MP4/M4A/3GP, WebM/Matroska, AMR"

Inspect = Callable[[bytes], Media]


def sniff(data: bytes) -> Media:
    """Identify one clip and hold the sizes that its container states against the bytes that came.

    Raises:
        EmptyAudio: no bytes.
        UnsupportedMedia: no known signature.
        TruncatedAudio, CorruptAudio, UnsupportedLayout, UnsupportedMedia: from the container's own inspector.
    """
    if not data:
        raise EmptyAudio("the body is empty; send the bytes of an audio file")
    start = mpeg.after_id3(data)
    body = data[start:] if start else data
    if not body:
        raise EmptyAudio("the body holds an ID3 tag and no audio")
    inspect = _inspector(body)
    if inspect is None:
        raise UnsupportedMedia(
            f"no audio format starts with the bytes {body[:8].hex(' ')}; supported are {SUPPORTED}"
        )
    return inspect(body)._replace(start=start)


def _inspector(data: bytes) -> Inspect | None:
    kind = data[8:12]
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and kind == b"WAVE":
        return riff.inspect_wav
    if data[:4] == b"FORM" and kind in (b"AIFF", b"AIFC"):
        return riff.inspect_aiff
    if data[:4] == b"fLaC":
        return flac.inspect
    if data[:4] == b"OggS":
        return ogg.inspect
    if data[4:8] == b"ftyp":
        return isobmff.inspect
    if data[:4] == b"\x1a\x45\xdf\xa3":
        return matroska.inspect
    if data.startswith((b"#!AMR\n", b"#!AMR-WB\n")):
        return lambda _: Media("AMR", "amr", elementary=True)
    if mpeg.is_mp3(data):
        return mpeg.inspect_mp3
    if mpeg.is_adts(data):
        return lambda _: Media("AAC", "aac", elementary=True, padding=mpeg.PADDING)
    return None
