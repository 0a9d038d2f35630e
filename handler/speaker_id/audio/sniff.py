"""What the bytes are, by content alone: never by an extension or a content type.

Only what is recognised here reaches a decoder, through the one demuxer that is named for it. Playlists, session
descriptions, text, images and archives have no entry, so they never reach a decoder.
"""

from __future__ import annotations

from speaker_id.audio import mpeg, tags
from speaker_id.audio.formats import SUPPORTED, by_signature
from speaker_id.audio.media import Media
from speaker_id.errors import EMPTY_BODY, CorruptAudio, EmptyAudio, UnsupportedMedia

MOST_JOINED = 64  # recordings in one body; each costs an opening
# Files that may contain MPEG frames but are not streams of them: archives, films, documents. Not junk to be skipped.
# fmt: off
FOREIGN = (
    b"PK\x03\x04", b"RIFF", b"\x30\x26\xb2\x75", b"FLV\x01", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"G@", b"%PDF",
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ",
)
# fmt: on


def sniff(data: bytes) -> list[Media]:
    """Identify the recordings of a body and check the sizes that their containers declare against the bytes.

    Most bodies are one recording. Where several are joined end to end (a chained Ogg stream, `cat a.flac b.flac`),
    each is an item of the list: decoders stop after the first without an error.

    Raises:
        EmptyAudio: no bytes.
        UnsupportedMedia: no known signature.
        CorruptAudio: more recordings than MOST_JOINED.
        TruncatedAudio, CorruptAudio, UnsupportedLayout, UnsupportedMedia: from the container's own inspector.
    """
    if not data:
        raise EmptyAudio(EMPTY_BODY)
    start = tags.after_id3(data)
    rest = data[start:] if start else data
    if not rest:
        raise EmptyAudio("the body contains an ID3 tag and no audio")
    if by_signature(rest) is None:
        return [_mpeg(rest, data)]
    recordings: list[Media] = []
    while rest:
        if len(recordings) == MOST_JOINED:
            raise CorruptAudio(f"more than {MOST_JOINED} recordings joined in one body")
        form = by_signature(rest)
        assert form is not None
        media = form.inspect(rest)
        behind = b"" if media.end is None else rest[media.end :]
        if by_signature(behind) is None:
            sound = tags.NOT_ZERO.search(behind)
            behind = behind[sound.start() :] if sound else b""  # without padding
        if by_signature(behind) is None:
            behind = b""  # such as a tag, which decoders ignore
        recordings.append(media._replace(data=media.data or rest[: media.end if behind else None]))
        rest = behind
    heard = [media for media in recordings if not media.empty]
    if not heard:
        raise EmptyAudio(f"{recordings[0].name} with headers but no samples")
    return heard


def _mpeg(data: bytes, with_tag: bytes) -> Media:
    """Find MPEG frames at the start or after a little junk: a stream joined midway, or a tag of wrong size."""
    start = None if data.startswith(FOREIGN) else mpeg.first_frame(data)
    if start is None and data is not with_tag:
        start, data = mpeg.first_frame(with_tag), with_tag
    if start is None:
        raise UnsupportedMedia(
            f"the body is not in a supported audio format: it starts with the bytes {data[:8].hex(' ')}; supported are "
            f"{SUPPORTED}"
        )
    stream = data[start:]
    _, size = mpeg.xing(stream)
    if (size or 0) < len(stream) - mpeg.LONGEST_FRAME:  # else there can be nothing in its middle
        stream = tags.without_tags(stream)
    return mpeg.inspect(stream)
