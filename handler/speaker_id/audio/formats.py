"""The audio formats that are decoded: the one list behind recognition, messages, documents and file suffixes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from speaker_id.audio import amr, au, caf, flac, isobmff, matroska, mpeg, ogg, riff, sphere, voc, w64
from speaker_id.audio.media import Media


@dataclass(frozen=True)
class Format:
    """One container, or one stream without a container.

    Attributes:
        name: as messages show it.
        content: what may be inside.
        suffixes: of its files, the usual one first; for choosing files in a folder. Content decides what a file is.
        signature: matches the beginning of such a file; None for MPEG frames, which have only sync words.
        inspect: checks the sizes that the container declares against the bytes, and chooses the reader.
    """

    name: str
    content: str
    suffixes: tuple[str, ...]
    signature: re.Pattern[bytes] | None
    inspect: Callable[[bytes], Media]


def _signature(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


W64_RIFF = re.escape(bytes.fromhex("72696666 2e91cf11 a5d628db 04c10000"))
CODECS_OF_FILMS = "AAC, MP3, Opus, Vorbis, FLAC, ALAC, PCM"

FORMATS = (
    Format(
        "WAV",
        f"also RF64 and BW64; {', '.join((riff.SNDFILE_TAGS | riff.FFMPEG_TAGS).values())}",
        (".wav", ".wave", ".bwf", ".rf64", ".bw64"),
        _signature(rb"(?:RIFF|RIFX|RF64|BW64).{4}WAVE"),
        riff.inspect_wav,
    ),
    Format("W64", "Sony Wave64; what WAV holds", (".w64",), _signature(W64_RIFF), w64.inspect),
    Format(
        "AIFF",
        "also AIFC; PCM, float, A-law, µ-law",
        (".aiff", ".aif", ".aifc"),
        _signature(rb"FORM.{4}AIF[FC]"),
        riff.inspect_aiff,
    ),
    Format(
        "AU",
        "Sun and NeXT; PCM, float, A-law, µ-law, G.722, G.726",
        (".au", ".snd"),
        _signature(rb"\.snd"),
        au.inspect,
    ),
    Format(
        "NIST SPHERE",
        "PCM, A-law, µ-law; not Shorten",
        (".sph", ".nist"),
        _signature(rb"NIST_1A\n"),
        sphere.inspect,
    ),
    Format(
        "VOC",
        "Creative Voice; PCM, A-law, µ-law, ADPCM",
        (".voc",),
        _signature(rb"Creative Voice File\x1a"),
        voc.inspect,
    ),
    Format(
        "CAF",
        "Core Audio; PCM, float, A-law, µ-law, ALAC, AAC, Opus, MP3",
        (".caf",),
        _signature(rb"caff\0"),
        caf.inspect,
    ),
    Format("FLAC", "", (".flac",), _signature(rb"fLaC"), flac.inspect),
    Format(
        "Ogg",
        "Vorbis, Opus, FLAC, Speex",
        (".ogg", ".oga", ".opus", ".spx"),
        _signature(rb"OggS"),
        ogg.inspect,
    ),
    Format(
        "MP4",
        f"M4A, QuickTime, 3GP; {CODECS_OF_FILMS}, AMR; the sound of films",
        (".m4a", ".mp4", ".m4b", ".mov", ".qt", ".3gp", ".3g2"),
        _signature(rb".{4}(?:ftyp|moov|mdat|wide|free|skip|pnot)"),
        isobmff.inspect,
    ),
    Format(
        "WebM/Matroska",
        f"{CODECS_OF_FILMS}; the sound of films",
        (".webm", ".mka", ".mkv"),
        _signature(rb"\x1a\x45\xdf\xa3"),
        matroska.inspect,
    ),
    Format("AMR", "narrow and wide band", (".amr", ".awb"), _signature(rb"#!AMR(?:-WB)?\n"), amr.inspect),
    Format("MP3", "", (".mp3",), None, mpeg.inspect),
    Format("MP2", "also MP1", (".mp2", ".mpga"), None, mpeg.inspect),
    Format("AAC", "in ADTS", (".aac", ".adts"), None, mpeg.inspect),
)

SUPPORTED = ", ".join(each.name for each in FORMATS)
SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)


def by_signature(data: bytes) -> Format | None:
    """Return the format whose signature the bytes begin with."""
    return next((each for each in FORMATS if each.signature and each.signature.match(data)), None)
