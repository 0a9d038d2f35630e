"""Waveforms → turns of bounded audio. Whatever arrives, no more than the budget is held and encoded at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from speaker_id.clip import Waveform as Waveform

Key = TypeVar("Key")


def pack(clips: Iterable[tuple[Key, Waveform]], budget: int) -> Iterator[list[tuple[Key, Waveform]]]:
    """Cut a stream of clips, in order, into turns of at most `budget` samples together.

    The stream is drawn lazily: at most one turn, and the clip that did not fit in it, are alive at a time.
    A clip longer than the budget is a turn of its own.

    Args:
        clips: pairs of a caller's key and a waveform of shape (samples,), float32.
        budget: samples a turn.
    """
    turn: list[tuple[Key, Waveform]] = []
    used = 0
    for key, waveform in clips:
        if turn and used + len(waveform) > budget:
            yield turn
            turn, used = [], 0
        turn.append((key, waveform))
        used += len(waveform)
    if turn:
        yield turn
