"""Answers about windows → the answer about the recording: windows with their times, and turns.

    {"windows": [{"start": 0.0, "end": 3.0, "ranking": [{"label": "anna", "score": 0.98}, …]}, …],
     "turns":   [{"start": 0.0, "end": 12.0, "label": "anna", "score": 0.97}, …]}

A turn is a stretch of adjacent windows whose first label is the same; `unknown` is a label too. Where windows overlap,
one ends and the next begins in the middle of what they share. A turn's score is the mean of its windows'. Of several
heads, `ranking` and `turns` are objects by the head's name, as in the answer about a clip.

This is identification over time, not diarisation: no window says where in it the speaker changes, and voices that speak
at once are not told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from speaker_id.calibrated import UNKNOWN
from speaker_id.errors import InvalidParameter
from speaker_id.protocol.request import Ranking, Rankings

DIGITS = 6  # of times in seconds; a sample at 192 kHz is 5 µs


class Answered(NamedTuple):
    """One window and what the model answered about it.

    Attributes:
        start, end: seconds of the recording.
        rankings: the ranking, best first, or one for each head by its name.
    """

    start: float
    end: float
    rankings: Rankings


class Turn(NamedTuple):
    """Adjacent windows of one label."""

    start: float
    end: float
    label: str
    score: float


def answer(windows: Sequence[Answered]) -> dict[str, Any]:
    """Return the JSON value that answers a request for windows."""
    listed = [
        {"start": round(each.start, DIGITS), "end": round(each.end, DIGITS), "ranking": each.rankings}
        for each in windows
    ]
    found = turns(windows)
    if isinstance(found, dict):
        return {
            "windows": listed,
            "turns": {head: [each._asdict() for each in of] for head, of in found.items()},
        }
    return {"windows": listed, "turns": [each._asdict() for each in found]}


def turns(windows: Sequence[Answered]) -> list[Turn] | dict[str, list[Turn]]:
    """Return the turns of a recording; of several heads, those of each by its name.

    Args:
        windows: in order, all of the same heads.
    """
    if windows and isinstance(windows[0].rankings, dict):
        return {head: _merged(windows, [_of(each, head) for each in windows]) for head in windows[0].rankings}
    return _merged(windows, [_of(each, None) for each in windows])


def _of(window: Answered, head: str | None) -> Ranking:
    if isinstance(window.rankings, dict):
        assert head is not None, "windows differ in their heads"
        return window.rankings[head]
    return window.rankings


def _merged(windows: Sequence[Answered], rankings: Sequence[Ranking]) -> list[Turn]:
    pieces = [
        Turn(start, end, str(ranking[0]["label"]), float(ranking[0]["score"]))
        for (start, end), ranking in zip(_parts(windows), rankings, strict=True)
    ]
    result = []
    for label, group in groupby(pieces, key=lambda piece: piece.label):
        run = list(group)
        score = sum(piece.score for piece in run) / len(run)
        result.append(Turn(round(run[0].start, DIGITS), round(run[-1].end, DIGITS), label, score))
    return result


def _parts(windows: Sequence[Answered]) -> Iterator[tuple[float, float]]:
    """Yield the stretch that each window speaks for: all of it, or up to the middle of what it shares with the next."""
    bounds = [(before.end + after.start) / 2 for before, after in pairwise(windows)]
    for number, window in enumerate(windows):
        yield (
            bounds[number - 1] if number else window.start,
            bounds[number] if number < len(bounds) else window.end,
        )


def rttm(name: str, found: list[Turn] | dict[str, list[Turn]]) -> str:
    """Return turns as NIST's Rich Transcription Time Marked text, a SPEAKER line each; `unknown` has none.

    A line states who speaks; that somebody speaks whom the model does not know is in the JSON answer. Blanks in a
    label or a name, which separate RTTM's fields, become `_`.

    Args:
        name: of the recording.
        found: as `turns` returns them.

    Raises:
        InvalidParameter: turns of several heads.
    """
    if isinstance(found, dict):
        if len(found) != 1:
            raise InvalidParameter(f"text/rttm is of one head: choose one with heads=, of {', '.join(found)}")
        (found,) = found.values()
    lines = (
        f"SPEAKER {_field(name)} 1 {turn.start:.3f} {turn.end - turn.start:.3f} <NA> <NA> {_field(turn.label)} "
        f"{turn.score:.4f} <NA>\n"
        for turn in found
        if turn.label != UNKNOWN
    )
    return "".join(lines)


def _field(text: str) -> str:
    return "_".join(text.split()) or "<NA>"
