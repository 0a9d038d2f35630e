"""What is done about a trouble, and when: no server, a clock that the tests move."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from serving.model_server import ServerError
from serving.readiness import repair
from serving.readiness.repair import LEAST_PAUSE, NO_ANSWER, Repair
from serving.readiness.watch import Found, Trouble

KEY = ("demo", "1.0")
PATIENCE = 60.0


@dataclass
class Scene:
    """A server and a watch that note what is done to them."""

    now: float = 1000.0
    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    answered: float = 1000.0
    done: list[Any] = field(default_factory=list)
    run: Path = Path("run")
    title: str = "TorchServe"

    @property
    def management(self) -> Scene:
        return self

    def restart(self, model: str, version: str, workers: int) -> None:
        self.done.append((model, version, workers))

    def pass_time(self, mended: Repair, seconds: float, answering: bool = True) -> list[str]:
        said = []
        for _ in range(int(seconds)):
            self.now += 1
            self.answered = self.now if answering else self.answered
            said.append(mended.step(self))  # type: ignore[arg-type]
        return [each for each in said if each]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()
    monkeypatch.setattr(repair.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(repair.os, "kill", lambda pid, number: made.done.append((pid, number)))
    return made


@pytest.fixture
def mended(scene: Scene) -> Repair:
    return Repair(scene, PATIENCE, lambda: scene.done.append("restart"))  # type: ignore[arg-type]


def trouble(kind: Trouble, *suspects: int) -> Found:
    return Found(True, 2, (), "demo: a reason", kind, suspects)


def test_what_is_well_is_left_alone(scene: Scene, mended: Repair) -> None:
    scene.found[KEY] = Found(True, 1, (7,))
    assert scene.pass_time(mended, 1000) == []
    assert scene.done == []


def test_what_is_loading_is_left_to_torchserve(scene: Scene, mended: Repair) -> None:
    scene.found[KEY] = Found(True, 1, (), "demo: 0 of 1 workers ready")
    assert scene.pass_time(mended, 1000) == []


def test_a_stopped_worker_is_ended_after_its_time_and_not_before(scene: Scene, mended: Repair) -> None:
    scene.found[KEY] = trouble(Trouble.STOPPED, 7, 8)
    assert scene.pass_time(mended, 10) == []
    (said,) = scene.pass_time(mended, 1)
    assert scene.done == [(7, signal.SIGKILL), (8, signal.SIGKILL)]
    assert said.startswith("demo: a reason: ended 7, 8")


def test_a_hung_worker_which_the_watch_has_given_its_time_is_ended_at_once(
    scene: Scene, mended: Repair
) -> None:
    scene.found[KEY] = trouble(Trouble.HUNG, 8)
    (said,) = scene.pass_time(mended, 1)
    assert scene.done == [(8, signal.SIGKILL)]
    assert said.startswith("demo: a reason: ended 8")


def test_a_silent_one_has_longer_and_one_that_comes_back_begins_again(scene: Scene, mended: Repair) -> None:
    scene.found[KEY] = trouble(Trouble.SILENT, 7)
    scene.pass_time(mended, 20)
    scene.found[KEY] = Found(True, 1, (7,))
    scene.pass_time(mended, 1)
    scene.found[KEY] = trouble(Trouble.SILENT, 7)
    assert scene.pass_time(mended, 30) == []
    assert len(scene.pass_time(mended, 1)) == 1


def test_without_anybody_to_end_its_workers_are_started_again(scene: Scene, mended: Repair) -> None:
    scene.found[KEY] = trouble(Trouble.ENDED)
    scene.pass_time(mended, 11)
    assert scene.done == [("demo", "1.0", 2)]


def test_what_does_not_help_is_followed_by_the_next_step_and_then_by_a_fault(
    scene: Scene, mended: Repair
) -> None:
    scene.found[KEY] = trouble(Trouble.SILENT, 7)
    said = scene.pass_time(mended, 70)
    assert scene.done == [(7, signal.SIGKILL), ("demo", "1.0", 2), "restart"]
    assert said[-1] == "TorchServe does not recover demo 1.0 (demo: a reason): restarted"
    with pytest.raises(ServerError, match="although it was restarted"):
        scene.pass_time(mended, 200)
    assert scene.done.count("restart") == 1


def test_a_torchserve_that_does_not_answer_is_started_again(scene: Scene, mended: Repair) -> None:
    assert scene.pass_time(mended, NO_ANSWER, answering=False) == []
    assert scene.pass_time(mended, 1, answering=False) == ["TorchServe has not answered for 30 s: restarted"]
    assert scene.pass_time(mended, PATIENCE - 1, answering=False) == [], "while it loads"


def test_hours_later_it_may_be_started_again(scene: Scene, mended: Repair) -> None:
    scene.pass_time(mended, NO_ANSWER + 1, answering=False)
    scene.pass_time(mended, LEAST_PAUSE)
    scene.pass_time(mended, NO_ANSWER + 1, answering=False)
    assert scene.done == ["restart", "restart"]


def test_what_was_seen_before_serve_was_suspended_restarts_nothing(scene: Scene, mended: Repair) -> None:
    scene.now += 3600
    assert scene.pass_time(mended, NO_ANSWER, answering=False) == []
    assert len(scene.pass_time(mended, 2, answering=False)) == 1, "it has had its time since"


def test_a_trouble_begins_again_after_a_suspension(scene: Scene, mended: Repair) -> None:
    scene.found[KEY] = trouble(Trouble.STOPPED, 7)
    scene.pass_time(mended, 5)
    scene.now += 3600
    assert scene.pass_time(mended, 11) == []
    assert len(scene.pass_time(mended, 1)) == 1


def test_a_step_that_takes_long_is_no_suspension(
    scene: Scene, mended: Repair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> None:
        scene.now += 20

    monkeypatch.setattr(scene, "restart", slow)
    scene.found[KEY] = trouble(Trouble.ENDED)
    said = scene.pass_time(mended, 60)
    assert [each.rpartition(": ")[2] for each in said] == [
        "TorchServe is told to restart its workers",
        "restarted",
    ]


def test_a_machine_that_has_just_booted_is_no_restart(scene: Scene) -> None:
    scene.now, scene.found[KEY] = 1.0, trouble(Trouble.STOPPED, 7)
    slow_to_load = Repair(scene, LEAST_PAUSE + 60, lambda: None)  # type: ignore[arg-type]
    assert len(scene.pass_time(slow_to_load, 12)) == 1
