"""The work is VoxCeleb-like, seeded, and shared out evenly."""

import numpy as np
import pytest

from measure.workload import deal, durations, slices, speak, work

VOICES = {
    "ann": [np.full(5, 1, np.float32), np.full(3, 2, np.float32)],
    "bob": [np.full(4, 7, np.float32)],
}


def test_durations_are_four_seconds_at_least_and_eight_in_the_mean() -> None:
    many = durations(100_000, seed=1)
    assert many.min() >= 4.0
    assert many.mean() == pytest.approx(8.1, abs=0.1)
    assert durations(48, seed=0).mean() == pytest.approx(8.0, abs=0.1)


def test_equal_seeds_give_equal_work() -> None:
    lengths = [0.5, 1.0, 0.75]
    first, again, other = (work(VOICES, lengths, 16, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_a_clip_has_its_length_and_one_speaker() -> None:
    clips = work(VOICES, [1.0, 1.0, 2.5], 16, seed=0)
    assert [len(clip) for clip in clips] == [16, 16, 40]
    assert [set(clip.tolist()) for clip in clips] == [{1.0, 2.0}, {7.0}, {1.0, 2.0}]


def test_a_clip_longer_than_the_recordings_repeats_them() -> None:
    clip = speak(VOICES["ann"], 24, np.random.default_rng(0))
    assert np.array_equal(clip[:8], clip[8:16])
    assert sorted(clip[:8].tolist()) == [1, 1, 1, 1, 1, 2, 2, 2]


def test_rounds_hold_every_clip_once_and_about_as_much_audio_each() -> None:
    lengths = [round(seconds * 16_000) for seconds in durations(48, seed=0)]
    dealt = slices(lengths, 16, seed=0)
    assert sorted(index for hand in dealt for index in hand) == list(range(48))
    sums = [sum(lengths[index] for index in hand) for hand in dealt]
    assert max(sums) < 1.1 * min(sums)


def test_a_round_is_in_random_order_not_by_length() -> None:
    lengths = list(range(100, 148))
    assert all(hand != sorted(hand) for hand in slices(lengths, 16, seed=0))


def test_fewer_clips_than_a_round_are_one_round() -> None:
    assert [sorted(hand) for hand in slices([5, 6, 7], 16, seed=0)] == [[0, 1, 2]]


def test_workers_get_as_many_clips_and_about_as_much_audio_each() -> None:
    assert deal([8, 1, 7, 2, 6, 3], 2) == [[0, 3, 5], [1, 2, 4]]


def test_one_worker_gets_the_clips_as_they_come() -> None:
    assert deal([3, 1, 2], 1) == [[0, 1, 2]]
