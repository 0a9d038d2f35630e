"""Windows of a recording: what a caller asks for, and the cutting of decoded samples into them.

    {"windows": {"seconds": 3, "hop": 1.5}}     a JSON body's parameter
    X-Windows: 3;hop=1.5                        a header
    ?windows=3&hop=1.5                          a query

Window k starts at k × hop and has `seconds`; the first one that reaches the recording's end is the last one, and has
what is left. Rest shorter than the model's minimum (25 ms of Wav2Vec2's) makes no window of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from speaker_id.clip import Waveform
from speaker_id.errors import InvalidParameter
from speaker_id.protocol.values import number, one_of, shown

SHORTEST = 0.5  # s; below it a window has too little voice for an answer
LONGEST = 60.0  # s; attention's cost grows with the square of a window's length
LEAST_HOP = 0.25  # s; bounds the windows of a recording: an hour has at most 14,400
FIELDS = ("seconds", "hop")
HEADER = re.compile(r"\s*([^;]*?)\s*(?:;\s*hop\s*=\s*([^;]*?)\s*)?")


@dataclass(frozen=True)
class Windows:
    """Windows that a caller asks for.

    Attributes:
        seconds: of a window, SHORTEST to LONGEST.
        hop: seconds from one window's start to the next one's, LEAST_HOP to `seconds`.
    """

    seconds: float
    hop: float

    def count(self, seconds: float) -> int:
        """Return how many windows a recording of so many seconds has, at most."""
        return 1 + max(0, math.ceil((seconds - self.seconds) / self.hop - 1e-9))

    def encoded_seconds(self, seconds: float) -> float:
        """Return the audio-seconds that the windows of such a recording have together, at most."""
        return self.count(seconds) * min(self.seconds, seconds)

    def fitting(self, encoded: float) -> float:
        """Return the length in seconds of the longest recording whose windows have `encoded` seconds together; 0 if
        that is less than one window."""
        whole = math.floor(encoded / self.seconds + 1e-9)
        return self.seconds + (whole - 1) * self.hop if whole else 0.0


def windows(seconds: Any, hop: Any = None) -> Windows:
    """Return validated windows from numbers or text; the hop is the window's length where it is not given.

    Raises:
        InvalidParameter: a value outside its limits.
    """
    length = number(seconds, SHORTEST, LONGEST, "windows: seconds")
    return Windows(length, length if hop is None else number(hop, LEAST_HOP, length, "windows: hop"))


def from_parameter(value: Any) -> Windows:
    """Return the windows of a JSON body's parameter: `{"seconds": 3, "hop": 1.5}`, or the seconds alone.

    Raises:
        InvalidParameter: another type, an unknown key, or a value outside its limits.
    """
    if not isinstance(value, dict):
        return windows(value)
    for key in value:
        one_of(key, FIELDS, "key of windows")
    if value.get("seconds") is None:
        raise InvalidParameter('windows needs its length: {"seconds": 3}')
    return windows(value["seconds"], value.get("hop"))


def from_header(text: str) -> Windows:
    """Return the windows of the header `X-Windows`: `3`, or `3;hop=1.5`.

    Raises:
        InvalidParameter: another form, or a value outside its limits.
    """
    match = HEADER.fullmatch(text)
    if match is None:
        raise InvalidParameter(f"X-Windows must be like 3 or 3;hop=1.5, not {shown(text)}")
    return windows(match[1], match[2])


def from_query(parameters: Mapping[str, str]) -> Windows | None:
    """Return the windows of a query's parameters `windows` and `hop`; None where it has no `windows`.

    Raises:
        InvalidParameter: a hop without windows, or a value outside its limits.
    """
    if "windows" in parameters:
        return windows(parameters["windows"], parameters.get("hop"))
    if "hop" in parameters:
        raise InvalidParameter("hop is of windows: windows=3&hop=1.5")
    return None


class Window(NamedTuple):
    """One window of a recording.

    Attributes:
        start, end: seconds of the recording.
        samples: float32, (samples,).
    """

    start: float
    end: float
    samples: Waveform


def cut(blocks: Iterable[Waveform], asked: Windows, sampling_rate: int, min_samples: int) -> Iterator[Window]:
    """Cut a recording into windows as its samples arrive; the memory is that of one block and one window.

    Args:
        blocks: consecutive samples, of any lengths.
        asked: the windows.
        sampling_rate: of the samples, in Hz.
        min_samples: fewest samples of the last window: the model's minimum.

    Yields:
        Windows in order; none for a recording below `min_samples`. Their samples are those of the recording, bit for
        bit, in arrays of their own.
    """
    length = round(asked.seconds * sampling_rate)
    kept, first = np.empty(0, np.float32), 0  # samples of the recording from number `first` on
    number_of = 0

    def begin() -> int:
        return round(number_of * asked.hop * sampling_rate)

    def window(count: int) -> Window:
        at = begin() - first
        samples = kept[at : at + count].copy()
        start = begin()
        return Window(start / sampling_rate, (start + len(samples)) / sampling_rate, samples)

    reached = 0  # the end of the last window
    for block in blocks:
        kept = np.concatenate([kept, block])
        while begin() + length <= first + len(kept):
            yield window(length)
            reached = begin() + length
            number_of += 1
        dropped = min(begin() - first, len(kept))
        kept, first = kept[dropped:], first + dropped
    total = first + len(kept)
    if total > reached and total - begin() >= min_samples:
        yield window(length)
