"""Bytes → a JSON value, in memory that the body's length bounds: at most 16 bytes for each of its own.

Parsed JSON is larger than its text: 4 to 13 bytes for each byte of numbers, unless they are many and samples
(`number_lists`), but 25 for empty lists, objects and short strings. A request needs few of those, so they are counted,
by their brackets and quotes, before anything is parsed.
"""

from __future__ import annotations

import codecs
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from speaker_id.errors import MalformedRequest, RequestTooLarge
from speaker_id.protocol import number_lists
from speaker_id.protocol.values import shown
from speaker_id.settings import JSON_FLAT, JSON_LISTS_A_CLIP, JSON_STRINGS_A_CLIP, Settings

OPENING = (b"{", b"[", b'"')
PIECE = 1 << 18  # bytes that are counted at once


def without_mark(content: bytes | bytearray) -> bytes | bytearray:
    """Remove UTF-8's byte order mark, which editors and .NET write before JSON."""
    return content.removeprefix(codecs.BOM_UTF8)


def is_json(content: bytes | bytearray) -> bool:
    """Return whether a body is meant as JSON: no audio format starts with a brace, bracket or quote."""
    return without_mark(content[:64]).lstrip()[:1] in OPENING


def load(content: bytes | bytearray, settings: Settings) -> Any:
    """Parse a JSON text; long lists of samples are arrays.

    Raises:
        RequestTooLarge: more lists, objects or strings than a request of the most clips needs.
        MalformedRequest: it is not valid JSON, or an object repeats a key.
    """
    clips = settings.max_request_clips
    octets = np.frombuffer(content, np.uint8)  # NumPy compares by SIMD, bytes.count byte by byte
    lists, strings = _count(octets, b"{") + _count(octets, b"["), _count(octets, b'"') // 2
    if lists > (most := JSON_FLAT + JSON_LISTS_A_CLIP * clips):
        raise RequestTooLarge(f"the JSON has {lists} lists and objects; at most {most} are accepted")
    if strings > (most := JSON_FLAT + JSON_STRINGS_A_CLIP * clips):
        raise RequestTooLarge(f"the JSON has {strings} strings; at most {most} are accepted")
    try:
        return number_lists.load(without_mark(content), unrepeated)
    except json.JSONDecodeError as exc:
        raise MalformedRequest(f"the body is not valid JSON: {exc.msg} at character {exc.pos}") from exc
    except (UnicodeDecodeError, ValueError, RecursionError) as exc:
        raise MalformedRequest(
            "the body is not valid JSON: not UTF-8, nested too deep, or a number too long"
        ) from exc


def _count(octets: npt.NDArray[np.uint8], one: bytes) -> int:
    """Count a byte, in pieces: NumPy's comparison takes a byte of memory for each that it compares."""
    pieces = (octets[start : start + PIECE] for start in range(0, len(octets), PIECE))
    return sum(int(np.count_nonzero(piece == ord(one))) for piece in pieces)


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise MalformedRequest(f"the key {shown(next(k for k in keys if keys.count(k) > 1))} is given twice")
    return found
