"""The page of hostile bodies says what the committed measurement says, and that is within the limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from measure.bench import RESULTS
from measure.bench.hostile import FILE, PAGE, Cost, short, table

FOUND: dict[str, Any] = json.loads((RESULTS / FILE).read_text("utf-8"))
COSTS = [(each["name"], Cost(**values)) for each in FOUND["attacks"] for values in each["costs"]]


def test_the_document_says_what_the_committed_measurement_says() -> None:
    assert PAGE.path.read_text("utf-8") == PAGE.filled(table(FOUND)), f"run python -m {PAGE.command}"
    assert not FOUND["machine"]["dirty"]


def test_no_attack_took_more_cpu_time_or_memory_than_the_limits() -> None:
    for name, cost in COSTS:
        assert cost.cpu_seconds <= FOUND["cpu_seconds"] + 1.2, name
        assert cost.address_space <= FOUND["memory"], name


def test_the_longest_honest_recordings_were_answered() -> None:
    honest = {each["name"]: Cost(**each["costs"][0]) for each in FOUND["attacks"] if each["honest"]}
    assert len(honest) > 15
    assert {name for name, cost in honest.items() if cost.outcome != "answered"} == set()
    assert max(cost.size for cost in honest.values()) < 33 << 20


@pytest.mark.parametrize(
    ("value", "text"), [(0.00123, "0.0012"), (9.87, "9.9"), (12.3, "12"), (38123.0, "38,123")]
)
def test_costs_a_megabyte_are_short(value: float, text: str) -> None:
    assert short(value) == text
