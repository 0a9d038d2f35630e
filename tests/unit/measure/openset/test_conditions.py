"""One vector a voice or several: how clips become vectors, and what is compared."""

from __future__ import annotations

import numpy as np
import pytest

from measure.openset.conditions import clusters, noisy, of_each


def near(direction: int, count: int, seed: int) -> np.ndarray:
    vectors = np.eye(8)[direction] + 0.05 * np.random.default_rng(seed).standard_normal((count, 8))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_condition_has_a_centroid_of_its_own() -> None:
    clips = np.vstack([near(0, 3, 0), near(1, 3, 1)])
    found = of_each(clips, ["a"] * 3 + ["b"] * 3)
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert of_each(clips, ["a"] * 6).shape == (1, 8)


def test_clusters_are_where_the_clips_are_and_have_enough_of_them() -> None:
    clips = np.vstack([near(0, 4, 0), near(1, 4, 1), near(2, 1, 2)])
    assert clusters(clips, 2).shape == (2, 8)
    assert sorted(clusters(clips, 3).argmax(axis=1)) == [0, 1], "one clip is no cluster"
    assert clusters(clips[:3], 3).shape == (1, 8), "too few clips for two"


def test_noise_is_ten_decibels_below_the_clip() -> None:
    clip = np.sin(np.arange(16_000) / 5).astype(np.float32)
    noise = noisy(clip) - clip
    assert 10 * np.log10(np.square(clip).mean() / np.square(noise).mean()) == pytest.approx(10, abs=0.2)
