"""How long a version may owe an answer: no server, a clock that the tests move."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from speaker_id.decoders.patience import HANG_SECONDS

from serving.control import Version
from serving.host import processes
from serving.model_server import Reply
from serving.readiness import hung, watch
from serving.readiness.watch import Trouble, Watch

KEY = ("demo", "1.0")
VERSION = Version(
    "1.0", pids=(7, 8), workers=2, wanted=1, pending=0, capacity=100, response_timeout=30, batch_delay=0.05
)
ANSWER_WITHIN = 2 * 30 + 60  # s, for which the gateway keeps callers waiting
FULL, NONE = Reply(503, answered=False), None


class Scene:
    """One version, its worker's CPU time, and what becomes of every probe."""

    def __init__(self, file: Path) -> None:
        self.now, self.cpu = 1000.0, 0.0
        self.batches: dict[int, str] = {}
        self.gathered: list[int] = []  # the workers whose descendants were looked for
        self.reply: Reply | None = Reply(422, answered=True)
        self.watch = Watch(self, file)  # type: ignore[arg-type]
        self.management = self

    def within(self, _: float) -> Scene:
        return self

    def models(self) -> list[str]:
        return ["demo"]

    def default(self, _: str) -> str:
        return VERSION.version

    def versions(self, _: str) -> dict[str, Version]:
        return {VERSION.version: VERSION}

    def probe(self, *_: object) -> Any:
        return type("Probe", (), {"reply": lambda _: self.reply, "close": lambda _: None})()

    def family(self, pid: int) -> list[Any]:
        self.gathered.append(pid)
        return []

    def pass_time(self, seconds: float, cpu: float) -> Trouble | None:
        """The trouble after so many seconds in each of which the worker computes that long."""
        for _ in range(int(seconds / watch.LOOK_SECONDS)):
            self.now += watch.LOOK_SECONDS
            self.cpu += cpu * watch.LOOK_SECONDS
            self.watch.look()
        return self.watch.found[KEY].trouble


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(tmp_path / "found")
    monkeypatch.setattr(processes, "status", lambda _: "sleeping")
    monkeypatch.setattr(processes, "family", made.family)
    monkeypatch.setattr(processes, "stopped", lambda _: None)
    monkeypatch.setattr(processes, "all_cpu_seconds", lambda _: made.cpu)
    monkeypatch.setattr(hung.activity, "batch_of", lambda pid: made.batches.get(pid))
    monkeypatch.setattr(watch.time, "monotonic", lambda: made.now)
    return made


def test_a_version_that_answers_is_well(scene: Scene) -> None:
    assert scene.pass_time(100, cpu=0.0) is None


def test_it_is_ready_from_the_look_that_the_gateway_was_told_of(scene: Scene) -> None:
    assert not scene.watch.ready
    scene.watch.look()
    assert scene.watch.ready
    assert scene.watch.file.read_text().splitlines()[1:] == ["demo 1.0 default ready"]
    scene.reply = NONE
    scene.pass_time(5, cpu=0.0)
    assert not scene.watch.ready


def test_a_start_waits_for_no_interval_between_two_looks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 600.0)
    looked = threading.Event()
    scene.watch.start()
    monkeypatch.setattr(scene.watch, "look", looked.set)
    scene.watch.hurry()
    assert looked.wait(30)
    scene.watch.stop()


def test_no_answer_and_no_work_is_trouble_within_five_seconds(scene: Scene) -> None:
    scene.reply = NONE
    assert scene.pass_time(5, cpu=0.0) is Trouble.SILENT


def test_no_answer_is_trouble_despite_work_once_no_caller_would_wait_for_it(scene: Scene) -> None:
    scene.reply = NONE
    assert scene.pass_time(ANSWER_WITHIN - 5, cpu=1.0) is None
    assert scene.pass_time(10, cpu=1.0) is Trouble.SILENT


def test_a_flood_that_keeps_the_queue_full_is_no_trouble_while_the_workers_compute(scene: Scene) -> None:
    scene.reply = FULL
    assert scene.pass_time(10 * ANSWER_WITHIN, cpu=1.0) is None
    assert scene.pass_time(5, cpu=0.0) is Trouble.SILENT


def test_a_worker_that_computes_nothing_over_one_batch_is_ended_though_others_answer(scene: Scene) -> None:
    scene.batches[8] = "batch 3"
    assert scene.pass_time(hung.HUNG_SECONDS, cpu=0.0) is None
    assert scene.pass_time(3, cpu=0.0) is Trouble.HUNG
    found = scene.watch.found[KEY]
    assert (found.ready, found.suspects, found.reason) == ((7,), (8,), "demo: 1 of 2 workers ready")
    del scene.batches[8]
    assert scene.pass_time(1, cpu=0.0) is None


def test_of_a_silent_version_only_the_workers_with_a_batch_in_hand_are_suspects(scene: Scene) -> None:
    scene.reply = NONE
    assert scene.pass_time(5, cpu=0.0) is Trouble.SILENT
    assert scene.watch.found[KEY].suspects == (7, 8), "where none shows one"
    scene.batches[8] = "batch 3"
    scene.pass_time(1, cpu=0.0)
    assert scene.watch.found[KEY].suspects == (8,)


def test_a_worker_that_computes_has_its_time_for_a_batch(scene: Scene) -> None:
    scene.batches[8] = "batch 3"
    assert scene.pass_time(10 * hung.HUNG_SECONDS, cpu=1.0) is None


def test_the_machines_processes_are_read_every_two_seconds_however_busy_the_workers(scene: Scene) -> None:
    scene.reply = NONE
    scene.batches |= {7: "batch 1", 8: "batch 3"}
    scene.pass_time(20, cpu=1.0)
    assert scene.gathered.count(7) == scene.gathered.count(8) == 20 / watch.FAMILY_SECONDS


def test_a_worker_that_was_suspended_with_the_watch_has_its_time_again(scene: Scene) -> None:
    scene.batches[8] = "batch 3"
    scene.pass_time(20, cpu=0.0)
    scene.now += 3600
    assert scene.pass_time(hung.HUNG_SECONDS, cpu=0.0) is None
    assert scene.pass_time(3, cpu=0.0) is Trouble.HUNG


def test_batch_after_batch_is_work_however_little_each_computes(scene: Scene) -> None:
    for number in range(100):
        scene.batches[8] = f"batch {number}"
        assert scene.pass_time(2, cpu=0.0) is None


def test_a_worker_itself_gives_up_a_clip_whose_decoder_hangs_before_it_counts_as_hung() -> None:
    assert hung.HUNG_SECONDS > HANG_SECONDS
