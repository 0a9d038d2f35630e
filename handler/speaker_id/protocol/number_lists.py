"""A JSON text with long lists of numbers → its value, with these lists as arrays.

Python's parser keeps the interpreter's lock until it returns, which takes half a second for a waveform of two minutes,
and makes an object of 24 bytes of each number. So a long list is cut at commas, each piece is parsed by itself and
becomes float32, and between two pieces other threads run. The rest of the text, with a mark in place of each list, is
parsed as any other, lists of something else among it. Where a list of numbers stands where no samples do, and where the
text is not valid, the whole text is parsed at once, so that values and errors are the parser's own.
"""

from __future__ import annotations

import json
import secrets
from array import array
from collections.abc import Callable
from typing import Any

Pairs = list[tuple[str, Any]]
Hook = Callable[[Pairs], dict[str, Any]]

# Bytes. Too high: other threads wait longer for the lock. Too low: each piece costs microseconds.
PIECE = 1 << 16
KEYS = ("array", "data")  # of objects whose value is samples
DEPTH = 3  # of lists in lists: clips, channels, samples
NUMBER = b"-0123456789NI"  # what one begins with, NaN and Infinity among them
NUMBERS = frozenset({int, float})  # exact types: a boolean is a subclass of int, and not a sample
MARK = secrets.token_hex(8)  # no caller knows it, so no string of a text is taken for a list


def load(text: bytes | bytearray, hook: Hook) -> Any:
    """Parse a JSON text; a list of more than PIECE bytes, all numbers, is an `array` of float32 if it is samples.

    Args:
        text: without a byte order mark.
        hook: makes the value of an object, as `object_pairs_hook` of `json.loads`.

    Raises:
        ValueError, RecursionError: as `json.loads`.
    """
    value = _with_arrays(text, hook)
    return json.loads(text, object_pairs_hook=hook) if value is None else value


def _with_arrays(text: bytes | bytearray, hook: Hook) -> Any:
    """Return the value with arrays; None, and nothing of it kept, where the whole text has to be parsed at once."""
    lists, rest = _cut_out(text)
    if not lists:
        return None

    def filled(pairs: Pairs) -> dict[str, Any]:
        value = hook(pairs)
        return {key: _fill(each, lists, DEPTH) if key in KEYS else each for key, each in value.items()}

    try:
        value = json.loads(rest, object_pairs_hook=filled)
    except (ValueError, RecursionError):
        return None
    return None if lists else value  # each is in its place


def _cut_out(text: bytes | bytearray) -> tuple[dict[str, array[float]], bytes]:
    """Return the long lists of numbers by their marks, and the text with the marks in their places."""
    lists: dict[str, array[float]] = {}
    view, kept, at = memoryview(text), list[bytes | memoryview](), 0
    opened = text.find(b"[")
    while opened >= 0:
        following = text.find(b"[", opened + 1)
        closed = text.find(b"]", opened, following if following >= 0 else len(text))
        if closed - opened > PIECE and (numbers := _numbers(text, opened + 1, closed)) is not None:
            mark = f"{MARK}{len(lists)}"
            lists[mark] = numbers
            kept += [view[at:opened], f'"{mark}"'.encode()]
            at = closed + 1
        opened = following
    return lists, b"".join((*kept, view[at:])) if lists else b""


def _numbers(text: bytes | bytearray, start: int, end: int) -> array[float] | None:
    """Return the elements between two brackets; None where one of them is no number, or is not valid."""
    if text[start : start + 64].lstrip()[:1] not in NUMBER:
        return None  # such as base64, which would be parsed twice
    found = array("f")
    while start <= end:
        comma = text.find(b",", min(start + PIECE, end), end)
        stop = end if comma < 0 else comma
        try:
            piece = json.loads(b"[" + text[start:stop] + b"]")
            if not piece or not NUMBERS.issuperset(map(type, piece)):
                return None
            # a value past float32's range becomes infinite, which the audio stage rejects
            found.extend(piece)
        except (ValueError, RecursionError, OverflowError):
            return None
        start = stop + 1
    return found


def _fill(value: Any, lists: dict[str, array[float]], depth: int) -> Any:
    """Return a value with lists in place of their marks, each once."""
    if isinstance(value, str) and value.startswith(MARK):
        return lists.pop(value, value)
    if isinstance(value, list) and depth > 1:
        return [_fill(each, lists, depth - 1) for each in value]
    return value
