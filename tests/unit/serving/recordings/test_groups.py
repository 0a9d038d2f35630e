"""Clips are cut into groups of about the same length, as few as the bound allows."""

from __future__ import annotations

import numpy as np
import pytest
from speaker_id.clip import RawAudio
from speaker_id.settings import Settings

from serving.recordings.groups import cut, group_seconds

SETTINGS = Settings(max_batch_audio_seconds=240)


def lengths(seconds: list[float]) -> list[int]:
    """Clips in each group of clips of so many seconds."""
    clips = [RawAudio(np.zeros(round(each * 1000), np.float32), 1000) for each in seconds]
    found = cut(clips, SETTINGS)
    assert [index for each in found for index in each] == list(range(len(clips)))
    for each in found:
        assert len(each) == 1 or sum(seconds[index] for index in each) <= group_seconds(SETTINGS)
    return [len(each) for each in found]


def test_a_group_is_a_quarter_of_a_micro_batch() -> None:
    assert group_seconds(SETTINGS) == 60


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([3.0] * 20, [20]),
        ([3.0] * 21, [10, 11]),  # not 20 and 1
        ([3.003] * 64, [16, 16, 16, 16]),
        ([110.0, *[3.0] * 10, 110.0], [1, 10, 1]),
        ([40.0] * 4, [1, 1, 1, 1]),  # not 1, 2 and 1, of which one is above the bound
        ([45.0, 10.0] * 3, [2, 2, 2]),
        ([], []),
        ([0.0], [1]),
        ([0.0, 0.0], [2]),
    ],
)
def test_as_few_as_possible_of_about_the_same_length(seconds: list[float], expected: list[int]) -> None:
    assert lengths(seconds) == expected
