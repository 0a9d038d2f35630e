"""Who is started when, and what happens to those that cannot go on: with teams that compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from measure import Unavailable
from measure.bench import contest
from measure.bench.contest import EncoderContest, WorkPlan
from measure.bench.engines import BASE, ONE_BY_TWO, Contestant, Engine, peer
from measure.bench.team import TeamRun

ZEROS = np.zeros(8, np.float32)
PLAN = WorkPlan([ZEROS] * 4, [[0, 1], [2, 3]], {}, {}, 16_000)
LASTING = Contestant(Engine("lasting", "lasting", "fp32", 1), ONE_BY_TWO, "glibc", lone=False)
SHARING = Contestant(Engine("sharing", "lasting", "fp32", 8), ONE_BY_TWO, "glibc", lone=False, once=True)
ONCE = Contestant(peer("once", "fp32"), ONE_BY_TWO, "glibc", lone=False, once=True)
BREAKING = Contestant(peer("breaking", "int8"), ONE_BY_TWO, "glibc", lone=False)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []

    class Team:
        backend = "nothing"

        def __init__(self, contestant: Contestant, _: Path) -> None:
            self.name = contestant.engine.name

        def __enter__(self) -> Team:
            seen.append(f"start {self.name}")
            return self

        def __exit__(self, *_: object) -> None:
            seen.append(f"end {self.name}")

        def run(self, engine: Engine, clips: Sequence[np.ndarray]) -> TeamRun:
            seen.append(engine.name)
            if engine == BREAKING.engine and seen.count(engine.name) == 2:
                raise Unavailable("it ran out of memory")
            return TeamRun(1.0, np.zeros((len(clips), 2), np.float32), 1)

        def cpu_seconds(self) -> float:
            return 0.0

    monkeypatch.setattr(contest, "Team", Team)
    return seen


def played(*others: Contestant) -> EncoderContest:
    base = Contestant(BASE.engine, BASE.layout, BASE.allocator, lone=False)
    with EncoderContest(PLAN, Path(), lambda text: None) as found:
        found.enter([base, *others])
        found.play()
    return found


def test_who_takes_part_once_is_in_memory_for_that_turn_alone(events: list[str]) -> None:
    found = played(LASTING, SHARING, ONCE)
    starts, first, second, ends = events[:2], events[2:8], events[8:10], events[10:]
    assert starts == ["start hf-one", "start lasting"]
    assert first == ["hf-one", "lasting", "sharing", "start once", "once", "end once"]
    assert second == ["hf-one", "lasting"]
    assert ends == ["end lasting", "end hf-one"]
    assert sorted(found.measured[ONCE].logits) == [0, 1]
    assert sorted(found.measured[LASTING].logits) == [0, 1, 2, 3]


def test_who_breaks_in_a_later_round_takes_no_part_and_the_others_go_on(events: list[str]) -> None:
    found = played(BREAKING, LASTING)
    assert found.absent == {BREAKING: "it ran out of memory"}
    assert len(found.measured[LASTING].seconds) == 2
    assert BREAKING not in found.measured
