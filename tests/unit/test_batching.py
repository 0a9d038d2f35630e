"""Turns of bounded audio."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from speaker_id.batching import pack
from speaker_id.clip import Waveform


def clips(lengths: list[int]) -> list[tuple[int, Waveform]]:
    return [(index, np.zeros(length, np.float32)) for index, length in enumerate(lengths)]


def turns(lengths: list[int], budget: int) -> list[list[int]]:
    return [[len(waveform) for _, waveform in turn] for turn in pack(clips(lengths), budget)]


def test_clips_share_a_turn_up_to_the_budget() -> None:
    assert turns([4, 6, 1], budget=10) == [[4, 6], [1]]


def test_a_clip_over_the_budget_is_a_turn_of_its_own() -> None:
    assert turns([1, 11, 1], budget=10) == [[1], [11], [1]]


def test_nothing_makes_no_turn() -> None:
    assert turns([], budget=10) == []


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 40))
def test_every_clip_comes_once_in_order_and_no_turn_of_several_exceeds_the_budget(
    lengths: list[int], budget: int
) -> None:
    packed = list(pack(clips(lengths), budget))
    assert [key for turn in packed for key, _ in turn] == list(range(len(lengths)))
    assert all(len(turn) == 1 or sum(len(w) for _, w in turn) <= budget for turn in packed)


def test_clips_are_drawn_only_when_their_turn_comes() -> None:
    drawn: list[int] = []

    def stream() -> Iterator[tuple[int, Waveform]]:
        for key, waveform in clips([5, 5, 5, 5]):
            drawn.append(key)
            yield key, waveform

    next(pack(stream(), budget=10))
    assert drawn == [0, 1, 2]  # the third is what showed that the turn is full
