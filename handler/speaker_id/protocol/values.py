"""Values in a body: base64, arrays, sampling rates, options. Each error names the value and what is allowed."""

from __future__ import annotations

import binascii
import contextlib
import json
import re
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pybase64

from speaker_id.clip import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, EncodedAudio, RawAudio
from speaker_id.errors import AudioTooLong, InvalidParameter, MalformedRequest
from speaker_id.protocol.number_lists import NUMBERS
from speaker_id.protocol.request import AnswerKind, Options
from speaker_id.settings import FPIR, MAX_DATA_URL_HEAD, MAX_DIMENSIONS, ScoreFunction, Settings

FUNCTIONS = get_args(ScoreFunction)
OPTION_NAMES = ("top_k", "function_to_apply", "heads", "output", "fpir", "min_score")
KINDS = get_args(AnswerKind)
NO_OPTIONS = Options()
WINDOWS = ("windows", "hop")  # of a recording: what is in front of the model answers them, if anything does
INSIDE = ("windows",)  # the same in JSON, where it holds both
NUMBER = re.compile(r"[0-9]{0,20}[.]?[0-9]{1,20}(e-?[0-9]{1,3})?")  # in text
LISTS = (list, array)  # what a list in JSON becomes: a long one of samples is an array of them
STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")  # from the URL-safe one
BLANKS = b" \t\r\n\f\v"
SHOWN = 40  # characters of a caller's own text that a message may repeat


def shown(value: object) -> str:
    """Return a caller's value as an error message may show it: quoted, on one line, short."""
    if isinstance(value, (dict, *LISTS)):
        return kind(value)  # its content may have any size and depth
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**SHOWN:
        return f"a number of more than {SHOWN} digits"  # repr raises past 4300
    if value is None or isinstance(value, bool):
        return json.dumps(value)  # the caller's own word, not Python's
    text = repr(value[:SHOWN]) if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN + 2 else text[:SHOWN] + "…"


def one_of(key: object, known: tuple[str, ...], where: str) -> str:
    if isinstance(key, str) and key in known:
        return key
    raise InvalidParameter(f"unknown {where} {shown(key)}; known: {', '.join(known)}")


def named(given: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """Return a parameters object; raise for an unknown name."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise MalformedRequest(f"parameters must be an object, not {kind(given)}")
    return {one_of(key, known, "parameter"): value for key, value in given.items()}


def top_k(value: Any, where: str) -> int:
    """Parse a count of at least 1, from a JSON number or from text."""
    text = bytes(value).decode("ascii", "replace") if isinstance(value, (bytes, bytearray)) else value
    if isinstance(text, str) and text.strip().isascii() and text.strip().isdigit() and len(text.strip()) < 10:
        text = int(text)
    if isinstance(text, bool) or not isinstance(text, int) or text < 1:
        raise InvalidParameter(f"{where} must be a whole number of at least 1, not {shown(text)}")
    return text


def function_to_apply(value: Any, where: str) -> ScoreFunction:
    """Parse one of the names that Hugging Face's pipeline accepts."""
    return choice(value, FUNCTIONS, where)  # type: ignore[no-any-return]


def choice(value: Any, known: tuple[str, ...], where: str) -> Any:
    """Parse one of several words, from JSON or from text."""
    text = bytes(value).decode("ascii", "replace") if isinstance(value, (bytes, bytearray)) else value
    if isinstance(text, str) and text.strip() in known:
        return text.strip()
    raise InvalidParameter(f"{where} must be one of {', '.join(known)}, not {shown(text)}")


def heads(value: Any, where: str) -> tuple[str, ...]:
    """Parse names of heads: a JSON list, or text with commas between them."""
    text = bytes(value).decode("ascii", "replace") if isinstance(value, (bytes, bytearray)) else value
    names = [each.strip() for each in text.split(",")] if isinstance(text, str) else text
    if not isinstance(names, list) or not names or not all(isinstance(each, str) for each in names):
        raise InvalidParameter(
            f"{where} must be a list of names, or names separated by commas, not {shown(text)}"
        )
    return tuple(dict.fromkeys(names))


def number(value: Any, least: float, most: float, where: str) -> float:
    """Parse a number, from JSON or from text."""
    text = bytes(value).decode("ascii", "replace") if isinstance(value, (bytes, bytearray)) else value
    if isinstance(text, str) and NUMBER.fullmatch(text.strip()):
        text = float(text)
    if not isinstance(text, (int, float)) or isinstance(text, bool) or not least <= text <= most:
        raise InvalidParameter(f"{where} must be a number from {least:g} to {most:g}, not {shown(text)}")
    return float(text)


def options(given: Mapping[str, Any], where: str, others: tuple[str, ...] = ()) -> Options:
    """Parse options by name; null means not given.

    Args:
        given: values by name.
        where: how a message names one.
        others: of WINDOWS, the names that a message lists besides: those that may be given there.
    """
    if not given:
        return NO_OPTIONS
    if asked := next((key for key in given if key in WINDOWS), None):
        raise InvalidParameter(
            f"{where} {shown(asked)} is of no use here: windows are of one recording that is the body, or stands in "
            "JSON, and are asked for as X-Windows: 3;hop=1.5, as ?windows=3&hop=1.5, or as a parameter of JSON"
        )
    names = {one_of(key, (*OPTION_NAMES, *others), where): value for key, value in given.items()}
    k, function, wanted, output, fpir, min_score = (names.get(name) for name in OPTION_NAMES)
    return Options(
        top_k=None if k is None else top_k(k, "top_k"),
        function_to_apply=None if function is None else function_to_apply(function, "function_to_apply"),
        heads=None if wanted is None else heads(wanted, "heads"),
        output=None if output is None else choice(output, KINDS, "output"),
        fpir=None if fpir is None else number(fpir, *FPIR, "fpir"),
        min_score=None if min_score is None else number(min_score, 0, 1, "min_score"),
    )


def first(*choices: Options) -> Options:
    """Take each option from the first source that gives it."""
    given = [each for each in choices if each is not NO_OPTIONS]
    if len(given) < 2:
        return given[0] if given else NO_OPTIONS
    found = {
        name: next((value for each in given if (value := getattr(each, name)) is not None), None)
        for name in OPTION_NAMES
    }
    return Options(**found)


def encoded_audio(text: Any, where: str) -> EncodedAudio:
    """Decode base64 in either alphabet (RFC 4648 §4 and §5), padded or not, bare or as a `data:…;base64,` URL.

    Line breaks and blanks inside are ignored.
    """
    if not isinstance(text, str):
        raise MalformedRequest(f"{where} must be a base64 string, not {kind(text)}")
    start = 0
    if text[:5].lower() == "data:":
        start = text.find(",", 0, MAX_DATA_URL_HEAD + 1) + 1
        if start == 0 and len(text) > MAX_DATA_URL_HEAD:
            raise MalformedRequest(
                f"{where} is a data URL with more than {MAX_DATA_URL_HEAD} characters before its comma: only a media "
                "type and ;base64 may precede it"
            )
        if not text[:start].lower().endswith(";base64,"):
            raise MalformedRequest(f"{where} is a data URL that is not base64: {shown(text)}")
    try:
        data = _plain_base64(text[start:].encode("ascii"))
    except (binascii.Error, ValueError) as exc:
        raise MalformedRequest(f"{where} is not valid base64: {shown(text)}") from exc
    if not data:
        raise MalformedRequest(f"{where} contains no audio: 0 bytes")
    return EncodedAudio(data)


def _plain_base64(text: bytes) -> bytes:
    with contextlib.suppress(binascii.Error):  # what nearly everybody sends: nothing has to be replaced
        return pybase64.b64decode(text, validate=True)
    digits = text.translate(STANDARD_ALPHABET, delete=BLANKS)
    return pybase64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)


def sampling_rate(value: Any, where: str) -> int:
    """Parse a whole number of Hz; the audio stage checks its range."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise InvalidParameter(f"{where} must be a whole number of Hz, not {shown(value)}")
    return value


def raw_audio(samples: Any, rate: Any, settings: Settings, where: str) -> RawAudio:
    """Parse numbers of shape (samples,) or (channels, samples) to float32; too many are rejected first."""
    if rate is None:
        raise InvalidParameter(f"{where} needs a sampling_rate, in Hz")
    hertz = sampling_rate(rate, "sampling_rate")
    if not isinstance(samples, LISTS):
        raise MalformedRequest(f"{where} must be a list of numbers, not {kind(samples)}")
    rows = innermost(samples, 2, where)
    if len(rows) > MAX_CHANNELS:
        raise MalformedRequest(
            f"{where} must be (samples,) or (channels, samples) of at most {MAX_CHANNELS} channels, not {len(rows)}"
        )
    check_seconds(max(map(len, rows), default=0), hertz, settings)
    found = numbers(rows, where)
    return RawAudio(found[0] if rows[0] is samples else found, hertz)


def check_seconds(samples: int, hertz: int, settings: Settings) -> None:
    """Raise AudioTooLong for more samples than a clip may have."""
    # the audio stage rejects a rate outside the limits; here it must not make any length look short or long
    seconds = samples / min(max(hertz, MIN_SAMPLE_RATE), MAX_SAMPLE_RATE)
    if seconds > settings.max_clip_seconds:
        raise AudioTooLong(
            f"the clip is {seconds:.1f} s long; at most {settings.max_clip_seconds:g} s are accepted"
        )


def innermost(values: Sequence[Any], depth: int, where: str) -> list[Sequence[Any]]:
    """Return the rows of numbers in a list nested at most `depth` deep; the list itself where it is flat."""
    rows = [values]
    for _ in range(depth - 1):
        if not any(row and isinstance(row[0], LISTS) for row in rows):
            break
        nested = all(isinstance(row, list) for row in rows)  # an array holds numbers
        rows = [inner for row in rows for inner in row] if nested else []
        if not nested or not all(isinstance(row, LISTS) for row in rows):
            raise MalformedRequest(f"{where} must be a regular array: its rows differ in depth")
    return rows


def numbers(rows: Sequence[Sequence[Any]], where: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Convert rows of equal length to float32, (rows, length). NaN and infinity pass: the audio stage reports where.

    Types are checked before numpy sees a value: it would make every element as wide as the longest string.
    """
    if len(set(map(len, rows))) > 1:
        raise MalformedRequest(f"{where} must be a regular array: its rows differ in length")
    found = np.empty((len(rows), len(rows[0]) if rows else 0), np.float32)
    for target, row in zip(found, rows, strict=True):
        if isinstance(row, array):
            target[:] = np.frombuffer(row, np.float32)
            continue
        if not NUMBERS.issuperset(map(type, row)):
            wrong = next(value for value in row if type(value) not in NUMBERS)
            raise MalformedRequest(f"{where} must contain only numbers, not {kind(wrong)}")
        try:
            # a value past float32's range becomes infinite, which the audio stage rejects
            with np.errstate(over="ignore"):
                target[:] = np.fromiter(row, np.float32, len(row))
        except OverflowError as exc:
            raise MalformedRequest(f"{where} contains a whole number of more than 308 digits") from exc
    return found


def shape(value: Any, where: str) -> tuple[int, ...]:
    """Parse a tensor's shape: whole numbers, none negative."""
    if (
        not isinstance(value, list)
        or len(value) > MAX_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**31 for size in value)
    ):
        raise MalformedRequest(
            f"{where} must be a list of at most {MAX_DIMENSIONS} whole numbers below 2^31, not {shown(value)}"
        )
    return tuple(value)


def kind(value: object) -> str:
    """Return JSON's name for a value's type."""
    names = {
        dict: "an object",
        list: "a list",
        array: "a list",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")
