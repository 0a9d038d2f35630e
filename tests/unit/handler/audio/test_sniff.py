"""Content alone decides: what is no known audio format reaches no decoder."""

from __future__ import annotations

from typing import NoReturn

import av
import pytest
from speaker_id.audio import ffmpeg, sndfile
from speaker_id.audio.ffmpeg import refuse
from speaker_id.audio.formats import SUPPORTED
from speaker_id.audio.media import Media, MediaBytes
from speaker_id.errors import CorruptAudio, EmptyAudio, TruncatedAudio, UnsupportedMedia

from tests.unit.handler.audio.recordings import (
    by_ffmpeg,
    by_libsndfile,
    film,
    hear,
    patched,
    recording,
    tones,
)

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n"
NOT_AUDIO = {
    "HLS playlist": PLAYLIST,
    "concat script": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "session description": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n",
    "DASH manifest": b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
    "JSON": b'{"inputs": "UklGRg=="}',
    "HTML": b"<!DOCTYPE html><html></html>",
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(64),
    "ZIP": b"PK\x03\x04" + bytes(64),
    "pickle": b"\x80\x04\x95" + bytes(64),
    "WebP": b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(64),
    "AVI": b"RIFF\x24\x00\x00\x00AVI LIST" + bytes(64),
    "zeros": bytes(256),
    "ones": b"\xff" * 256,
    "one MP3 sync word": b"\xff\xfb\x90\x00" + b"\x55" * 2000,
    "one ADTS sync word": b"\xff\xf1\x50\x80\x02\x1f\xfc" + b"\x55" * 2000,
    "a letter": b"a",
}


@pytest.mark.parametrize("name", NOT_AUDIO)
def test_what_is_no_audio_reaches_no_decoder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: object) -> NoReturn:
        pytest.fail("a decoder saw it")

    monkeypatch.setattr(ffmpeg, "blocks", reached)
    monkeypatch.setattr(sndfile, "blocks", reached)
    with pytest.raises(UnsupportedMedia):
        hear(NOT_AUDIO[name])


def test_the_message_names_the_first_bytes_and_what_is_supported() -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        hear(b"PK\x03\x04rest of the archive")
    assert caught.value.message == (
        "the body is not in a supported audio format: it starts with the bytes 50 4b 03 04 72 65 73 74; supported are "
        f"{SUPPORTED}"
    )


@pytest.mark.parametrize("signature", [b"ftypM4A ", b"OggS", b"RIFF....WAVE"])
def test_a_playlist_behind_a_borrowed_signature_is_refused_by_its_demuxer(signature: bytes) -> None:
    lead = b"\0\0\0\x20" if signature.startswith(b"ftyp") else b""
    with pytest.raises((UnsupportedMedia, TruncatedAudio, EmptyAudio)):
        hear(lead + signature + PLAYLIST * 4)


def test_ffmpeg_gets_the_chosen_demuxer_and_its_allow_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def spy(*args: object, **options: object) -> NoReturn:
        asked.append(options)
        raise av.error.InvalidDataError(1, "stop here")

    names = ("M4A", "WebM Opus", "MP3", "ADTS AAC", "AMR", "WAV G.722", "Ogg FLAC", "FLAC from a pipe")
    bodies = [recording(name) for name in names]
    monkeypatch.setattr(av, "open", spy)
    for body in bodies:
        with pytest.raises(CorruptAudio, match="cannot be decoded"):
            hear(body)
    demuxers = [options["format"] for options in asked]
    assert demuxers == ["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mp3", "aac", "amr", "wav", "ogg", "flac"]
    for options in asked:
        limits = options["container_options"]
        assert isinstance(limits, dict)
        assert limits["protocol_whitelist"] == "none"
        assert limits["format_whitelist"] == options["format"]
        assert "aac" in limits["codec_whitelist"]
        assert "h264" not in limits["codec_whitelist"]
        assert options["io_open"] is refuse


def test_a_demuxer_that_wants_to_open_something_else_is_refused() -> None:
    # The playlist demuxer is never chosen; given by hand, it shows that the guard behind the choice bites.
    with pytest.raises(PermissionError, match="outside itself"):
        av.open(MediaBytes(PLAYLIST), "r", format="hls", io_open=refuse)


def test_a_renamed_container_is_still_what_its_bytes_are() -> None:
    body = by_libsndfile("FLAC", "PCM_16", tones(0.2, 16_000), 16_000)
    id3 = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
    assert len(hear(id3 + body)) == 3_200


def test_no_decoder_sees_an_id3_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    read = ffmpeg.blocks

    def spy(media: Media, *rest: object) -> object:
        seen.append(media.data)
        return read(media, *rest)

    monkeypatch.setattr(ffmpeg, "blocks", spy)
    hear(recording("MP3 with ID3"))
    assert seen[0].startswith(b"\xff")


def test_zeros_between_an_id3_tag_and_the_first_frame_are_padding() -> None:
    bare = recording("MP3 bare")
    assert len(hear(b"ID3\x04\x00\x00\x00\x00\x00\x05" + bytes(5) + bytes(100) + bare)) == len(hear(bare))


def test_an_id3_tag_with_a_footer_and_a_second_tag_are_passed_over() -> None:
    bare = recording("MP3 bare")
    with_footer = b"ID3\x04\x00\x10\x00\x00\x00\x05" + bytes(5) + b"3DI\x04\x00\x10\x00\x00\x00\x05"
    second = b"ID3\x03\x00\x00\x00\x00\x00\x02" + bytes(2)
    assert len(hear(with_footer + second + bare)) == len(hear(bare))


def test_sound_that_spells_a_table_of_an_mp4_is_sound() -> None:
    body = recording("MOV PCM")
    spelled = patched(body, len(body) // 2, b"trun\0\0\0\0\xff\xff\xff\xff")
    assert len(hear(spelled)) == len(hear(body))


def test_a_video_without_sound_is_unsupported() -> None:
    with pytest.raises(UnsupportedMedia, match="without an audio track"):
        hear(film(sound=None))


def test_an_image_in_the_mp4_family_is_unsupported() -> None:
    with pytest.raises((UnsupportedMedia, TruncatedAudio)):
        hear(b"\0\0\0\x18ftypavif\0\0\0\0avifmif1" + bytes(8))


def test_a_codec_outside_the_list_is_named() -> None:
    with pytest.raises(UnsupportedMedia, match="audio codec 'ac3'"):
        hear(by_ffmpeg("matroska", "ac3", tones(0.5, 48_000, 2), 48_000))


def test_a_wav_with_an_unknown_format_tag_names_it() -> None:
    wav = by_libsndfile("WAV", "PCM_16", tones(0.2, 16_000), 16_000)
    with pytest.raises(UnsupportedMedia, match="format tag 0x0161; PCM, MS ADPCM, float"):
        hear(patched(wav, 20, b"\x61\x01"))  # Windows Media Audio


def test_speex_in_ogg_is_decoded() -> None:
    assert len(hear(speex(frames=50))) == 50 * 320  # 20 ms at 8 kHz each


def speex(frames: int) -> bytes:
    """Ogg Speex of silence: narrow band, sub-mode 0 ("no transmission") in every frame.

    https://www.speex.org/docs/manual/speex-manual/node8.html
    """
    words = [1, 80, 8_000, 0, 4, 1, 2_150, 160, 0, 1, 0, 0, 0]
    header = b"Speex   " + b"1.2".ljust(20, b"\0") + b"".join(word.to_bytes(4, "little") for word in words)
    silence = b"\x07"  # 1 bit narrow band, 4 bits sub-mode 0, then padding of 0 and ones
    pages = [page(header, 0, 0, flags=2), page(bytes(8), 1, 0)]
    pages += [
        page(silence, 2 + index, 160 * (index + 1), flags=4 * (index == frames - 1))
        for index in range(frames)
    ]
    return b"".join(pages)


def page(packet: bytes, number: int, granule: int, flags: int = 0) -> bytes:
    """One Ogg page with one packet of less than 255 bytes."""
    head = b"OggS\0" + bytes([flags]) + granule.to_bytes(8, "little") + (7).to_bytes(4, "little")
    head += number.to_bytes(4, "little")
    body = bytes([1, len(packet)]) + packet
    crc = 0
    for byte in head + bytes(4) + body:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFF_FFFF if crc & 0x8000_0000 else crc << 1
    return head + crc.to_bytes(4, "little") + body
