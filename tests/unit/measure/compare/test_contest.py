"""Rounds within a time box: who runs, in which order, and what becomes of those that do not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import psutil
import pytest

from measure import Unavailable
from measure.answer import Label
from measure.compare import contest as module
from measure.compare.burst import Burst
from measure.compare.contenders import (
    DECIDING,
    NAMES,
    OF_TRITON,
    OURS_BF16,
    OURS_FP32,
    USUAL,
    Contender,
    choose,
)
from measure.compare.contest import ServerContest
from measure.compare.steps import RateLoad, RateStep
from measure.loadtest.clips import Clip
from measure.loadtest.summary import Summary
from measure.loadtest.target import Target

SPEEDS = {
    "ours-fp32": 12.0,
    "ours-bf16": 24.0,
    "torchserve-padded": 4.0,
}  # audio s/s; of the others 8 and less
CLIPS = [Clip(f"clip-{number}", Path("none"), 8.0, "audio/wav") for number in range(4)]
REFERENCE = {clip.name: Label("anna", 0.9) for clip in CLIPS}
SUMMARY = Summary(1, {}, 1.0, 1.0, 1.0, (0.1,), 0.0, 1.0)


class Fake:
    """A server of no process, whose URL is its contender's name."""

    running: ClassVar[list[str]] = []

    def __init__(self, contender: Contender, why: str | None) -> None:
        self.name, self.why = contender.name, why

    def start(self, _: Clip) -> None:
        if self.why:
            raise Unavailable(self.why)
        assert not Fake.running, "two servers at once"
        Fake.running.append(self.name)

    @property
    def target(self) -> Target:
        return Target(self.name)

    def processes(self) -> list[psutil.Process]:
        return []

    def stop(self) -> None:
        Fake.running[:] = [name for name in Fake.running if name != self.name]


class Stage:
    """A contest of fakes that writes down who was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.rates: list[tuple[str, float]] = []
        self.wrong: set[str] = set()
        self.lame: dict[str, str] = {}
        self.speeds = dict(SPEEDS)
        monkeypatch.setattr(module, "burst", self.burst)
        monkeypatch.setattr(RateLoad, "step", lambda load, target, rate, cut_short: self.step(target, rate))

    def burst(self, target: Target, clips: Sequence[Clip]) -> Burst:
        if len(clips) > 1:  # not the warm-up
            self.asked.append(target.url)
        label = "bernd" if target.url in self.wrong else "anna"
        audio = sum(clip.seconds for clip in clips)
        answers = {clip.name: Label(label, 0.9) for clip in clips}
        return Burst(audio / self.speeds.get(target.url, 8.0), audio, answers, {})

    def step(self, target: Target, rate: float) -> RateStep:
        self.rates.append((target.url, rate))
        return RateStep(rate, SUMMARY, 0, met=True, whole=True)

    def play(self, only: Sequence[str] = NAMES, rounds: int = 1, minutes: float = 60.0) -> ServerContest:
        played = ServerContest(
            choose(only),
            lambda contender: Fake(contender, self.lame.get(contender.name)),
            RateLoad(CLIPS, REFERENCE, 10.0, 30.0),
            [CLIPS] * rounds,
            minutes,
            self.said.append,
        )
        played.run()
        return played


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(module, "WARM_UP", 1)
    Fake.running.clear()
    return Stage(monkeypatch)


def test_the_first_round_has_everybody_and_the_next_ones_those_that_decide_in_turned_order(
    stage: Stage,
) -> None:
    stage.speeds |= {"fastapi-pipeline": 9.0, "ray-alone": 8.5, "bentoml-padded": 10.0}
    stage.wrong = {"bentoml-padded"}
    played = stage.play(rounds=2)
    names = [contender.name for contender in played.entrants]
    deciding = ["ours-fp32", "ours-triton-fp32", "fastapi-pipeline", "torchserve-padded", "ours-bf16"]
    deciding += ["ours-triton-bf16", "ray-alone"]
    assert stage.asked == names + deciding[::-1]


def test_a_peer_that_does_not_start_is_absent_with_its_reason_and_never_tried_again(stage: Stage) -> None:
    stage.lame = {"ray-alone": "port taken"}
    played = stage.play(["ours-fp32", "ray-alone"], rounds=3)
    assert {it.name: why for it, why in played.absent.items()} == {"ray-alone": "port taken"}
    assert set(stage.asked) == {"ours-fp32"}


def test_every_server_is_stopped_before_the_next_starts(stage: Stage) -> None:
    stage.play(rounds=2)
    assert not Fake.running


def test_latencies_are_taken_at_shares_of_our_capacity_where_the_server_can_bear_them(stage: Stage) -> None:
    played = stage.play(["ours-fp32", "torchserve-padded"])
    # ours: 12 audio s/s are 1.5 clips/s; 0.85 and 0.95 of them hold, so its capacity is 1.425 a second
    ours = [rate for name, rate in stage.rates if name == "ours-fp32"]
    assert ours == pytest.approx([1.275, 1.425, 0.35625, 0.7125, 1.14])
    # the usual handler saturates at half a clip a second
    loads = played.measured[USUAL].loads
    assert loads[0.25] is not None
    assert loads[0.5] is None
    assert loads[0.8] is None


def test_what_does_not_fit_into_the_time_is_left_out_and_said(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0.0, 20.0)  # every look at the clock takes 20 s
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    stage.play(["ours-fp32", "ours-bf16"], minutes=4.0)
    assert set(stage.asked) == {"ours-fp32", "ours-bf16"}
    left_out = [line.partition(" left out")[0] for line in stage.said if " left out" in line]
    assert left_out == ["ours-fp32: open arrivals", "ours-bf16: open arrivals"]
    assert not stage.rates


def test_a_run_without_the_usual_handler_or_a_peer_that_answers_right_decides_nothing(stage: Stage) -> None:
    ours = ["ours-fp32", "ours-bf16"]
    assert stage.play([*ours, "torchserve-padded", "ray-alone"]).decided(DECIDING)
    assert not stage.play([*ours, "ray-alone"]).decided(DECIDING)
    assert not stage.play([*ours, "torchserve-padded"]).decided(DECIDING)


def test_a_run_of_the_model_servers_needs_all_of_them(stage: Stage) -> None:
    assert stage.play(OF_TRITON).decided(OF_TRITON)
    stage.lame = {"ours-triton-bf16": "no bf16 here"}
    assert not stage.play(OF_TRITON).decided(OF_TRITON)


def test_a_changed_label_is_counted_and_the_peer_is_not_right(stage: Stage) -> None:
    stage.wrong = {"fastapi-pipeline"}
    played = stage.play(["fastapi-pipeline"])
    (mine,) = played.measured.values()
    assert mine.changed(REFERENCE) == 4
    assert not mine.right(REFERENCE)


def test_ours_come_first_among_the_open_arrivals_as_others_are_measured_at_shares_of_it(stage: Stage) -> None:
    order = list(stage.play(rounds=1).by_importance())
    assert order[0] == OURS_FP32
    assert {USUAL, OURS_BF16} <= set(order[:5])


def test_a_server_that_answers_nothing_is_absent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(target: Target, clips: Sequence[Clip]) -> Any:
        return Burst(1.0, 0.0, {}, {clips[0].name: "500: no"})

    monkeypatch.setattr(module, "burst", nothing)
    played = stage.play(["fastapi-pipeline"])
    assert list(played.absent.values()) == ["it answers nothing at saturation: 500: no"]


def test_a_short_run_measures_latencies_at_fewer_shares(stage: Stage) -> None:
    played = ServerContest(
        choose(["ours-fp32"]),
        lambda contender: Fake(contender, None),
        RateLoad(CLIPS, REFERENCE, 10.0, 30.0),
        [CLIPS],
        60.0,
        stage.said.append,
        (0.5,),
    )
    played.run()
    assert [rate for _, rate in stage.rates] == pytest.approx([1.275, 1.425, 0.7125])
