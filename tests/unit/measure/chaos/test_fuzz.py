"""The bodies: the same for the same seed, of every kind, and bounded."""

from __future__ import annotations

import json
import random
import time

import pytest

from measure.chaos import mutations
from measure.chaos.fuzz import KINDS, bodies, body
from measure.chaos.mutations import ZEROS, bombs

LARGEST = 4_000_000  # bytes; the gateway takes 32 MiB, and most of a fuzzer's time would be transport


def test_the_clock_is_in_no_body(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(moment: float) -> list[bytes]:
        monkeypatch.setattr(time, "time", lambda: moment)
        mutations.bombs.cache_clear()
        packed = mutations.compressed(random.Random(3))[0]
        return [packed, *mutations.bombs()[:4]]

    assert at(1e9) == at(1.5e9)


def test_a_body_can_be_made_again_by_its_number() -> None:
    made = bodies("demo", 3 * len(KINDS), seed=5)
    assert made[40] == body("demo", list(KINDS)[40 % len(KINDS)], 40, 5)
    assert made == bodies("demo", 3 * len(KINDS), seed=5)
    assert made != bodies("demo", 3 * len(KINDS), seed=6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_bounded_bodies_that_differ(kind: str) -> None:
    made = [body("demo", kind, number, 0) for number in range(12)]
    assert len({(each.content, tuple(each.headers.items()), each.path) for each in made}) > 2
    assert all(len(each.content) <= LARGEST for each in made)


def test_kinds_take_turns() -> None:
    assert [each.kind for each in bodies("demo", len(KINDS) + 1, 0)] == [*KINDS, next(iter(KINDS))]


def test_bombs_are_small_and_unpack_into_much() -> None:
    assert ZEROS >= 64 << 20
    assert all(len(each) < 2_000_000 for each in bombs())


def test_deep_documents_are_beyond_pythons_recursion() -> None:
    with pytest.raises(RecursionError):
        json.loads("[" * 200_000)
    draws = [KINDS["deep JSON"](random.Random(seed))[0] for seed in range(40)]
    assert max(map(len, draws)) >= 200_000


def test_every_format_is_damaged() -> None:
    assert len(mutations.whole()) >= 35 + 16
