"""The splitter's counts, as metrics."""

from __future__ import annotations

from serving.metrics import splitter
from serving.recordings.counts import Counts


def test_every_count_is_a_metric() -> None:
    counts = Counts(clips=1, recordings=2, passed=3, groups=4, windows=5, in_flight=6)
    families = list(splitter.collect(counts.described(), 7))
    values = [sample.value for family in families for sample in family.samples]
    assert values == [1, 2, 3, 4, 5, 6, 7]
    assert [sample.labels["kind"] for sample in families[0].samples] == ["clips", "recording", "passed"]
