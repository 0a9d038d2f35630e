"""When Triton is told to load a version again, with a double of its versions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from serving.triton import revival
from serving.triton.revival import AGAIN_SECONDS, Revival

FILE, VERSION = Path("/repository/demo/1/model.py"), ("demo", 1)


class Control:
    """One version with two workers."""

    def __init__(self) -> None:
        self.pids: tuple[int, ...] = ()
        self.reloaded: list[tuple[str, int]] = []

    def stubs(self) -> Mapping[Path, tuple[int, ...]]:
        return {FILE: self.pids}

    def patience_of(self, _: object) -> dict[int, float]:
        return {}

    def staffed(self, stubs: Mapping[Path, Collection[int]]) -> dict[tuple[str, int], bool]:
        return {VERSION: len(stubs[FILE]) >= 2}

    def reload(self, *version: object) -> None:
        self.reloaded.append(version)  # type: ignore[arg-type]


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made = [100.0]
    monkeypatch.setattr(revival.time, "monotonic", lambda: made[0])
    return made


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The workers that have not loaded yet."""
    made: set[int] = set()
    monkeypatch.setattr(revival.activity, "shown", lambda pid: None if pid in made else "idle")
    return made


@pytest.mark.usefixtures("now", "loading")
def test_a_version_that_loads_for_the_first_time_is_left_to_do_so(control: Control) -> None:
    looks = Revival()
    for control.pids in ((), (1,), (1, 2)):
        assert looks.look(control) == [*control.pids]  # type: ignore[arg-type]
    assert control.reloaded == []


@pytest.mark.usefixtures("loading")
def test_a_version_whose_worker_ends_is_loaded_again_and_asked_for_once_while_it_loads(
    control: Control, now: list[float]
) -> None:
    looks = Revival()
    for control.pids in ((1, 2), (2,), (2,)):
        looks.look(control)  # type: ignore[arg-type]
    assert control.reloaded == [VERSION]
    now[0] += AGAIN_SECONDS
    looks.look(control)  # type: ignore[arg-type]
    assert control.reloaded == [VERSION] * 2


@pytest.mark.usefixtures("now")
def test_a_worker_that_ends_right_after_it_was_loaded_is_replaced_at_once_too(
    control: Control, loading: set[int]
) -> None:
    looks = Revival()
    control.pids = (1, 2)
    looks.look(control)  # type: ignore[arg-type]
    loading |= {3, 4}
    for control.pids in ((2,), (2, 3), (2, 3, 4), (3,)):  # the last: 3 is still loading
        looks.look(control)  # type: ignore[arg-type]
    assert control.reloaded == [VERSION]
    loading.clear()
    for control.pids in ((3, 4), (3,)):
        looks.look(control)  # type: ignore[arg-type]
    assert control.reloaded == [VERSION] * 2
