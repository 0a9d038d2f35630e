"""Conditions by turns, with the same requests in both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from measure.loadtest.phases import Phase, by_turns, length, requests
from measure.loadtest.target import Clip, Target


def test_conditions_take_turns_and_the_contrast_is_in_the_last_rounds_alone() -> None:
    order = by_turns("a", "b", 3, 4.5, "c", 1)
    assert [(each.round, each.condition) for each in order] == [
        *((1, "a"), (1, "b"), (2, "b"), (2, "a"), (3, "a"), (3, "b"), (3, "c")),
    ]
    assert [each.start for each in order] == [4.5 * place for place in range(7)]
    assert length(order) == 31.5


def test_all_phases_of_a_round_have_the_same_requests(tmp_path: Path) -> None:
    clips = [Clip(name, tmp_path / name, 1.0, "audio/wav") for name in "abc"]
    order = by_turns("with", "without", 2, 5.0, "other", 1)
    made = requests(clips, [Target(str(number)) for number in range(8)], 20.0, order, 17.0)
    assert (made.begin, made.seconds) == (17.0, 25.0)

    def sent(phase: Phase) -> list[Any]:
        shots = [shot for shot in made.shots if phase.start <= shot.time < phase.start + phase.seconds]
        return [(pytest.approx(it.time - phase.start), it.target.url, it.clip.name) for it in shots]

    first, second, third, fourth, contrast = map(sent, order)
    assert first == second
    assert third == fourth == contrast != first
    assert len({url for _, url, _ in first}) == 8
