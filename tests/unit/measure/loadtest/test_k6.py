"""k6's output → records; the lines are as k6 1.1.0 writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from measure.loadtest import LoadTestError, k6
from measure.loadtest.slo import parse
from measure.loadtest.target import Clip, Target
from tests.unit.measure.loadtest.endpoint import endpoint


def point(metric: str, time: str, value: float, **tags: str) -> str:
    data = {"time": time, "value": value, "tags": {"scenario": "load", **tags}}
    return json.dumps({"metric": metric, "type": "Point", "data": data})


LINES = [
    '{"type":"Metric","data":{"name":"http_req_duration","type":"trend"},"metric":"http_req_duration"}',
    point("http_req_duration", "2026-11-24T10:00:01.500000001Z", 500.0, status="200"),
    point("http_req_blocked", "2026-11-24T10:00:01.500000001Z", 0.01, status="200"),
    point("http_req_duration", "2026-11-24T12:00:03.25+02:00", 250.0, status="503"),
    point("http_req_duration", "2026-11-24T10:00:05Z", 3000.0, status="0"),
    point("dropped_iterations", "2026-11-24T10:00:04Z", 2),
]


def test_requests_count_from_the_first_sending() -> None:
    found = k6.records(LINES, "http://somewhere")
    assert [record.scheduled for record in found] == pytest.approx([0.0, 1.0, 2.0, 3.0, 3.0], abs=1e-6)
    assert [record.latency for record in found] == pytest.approx([0.5, 3.0, 0.25, 0, 0], abs=1e-6)
    assert [record.error for record in found] == [None, "unreachable", "http_503", "not_sent", "not_sent"]


def test_no_request_is_an_error() -> None:
    with pytest.raises(LoadTestError, match="k6 reports no request"):
        k6.records(LINES[:1], "http://somewhere")


def test_k6_sends_what_the_plan_says_at_the_rate_that_it_says(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"audio a")
    (tmp_path / "b").write_bytes(b"audio b")
    clips = [Clip(name, tmp_path / name, 1.0, "audio/wav") for name in ("a", "b")]
    with endpoint() as seen:
        target = Target(seen.url, "raw", {"Authorization": "Bearer secret"}, timeout=5.0)
        found = k6.measure(clips, target, parse("p50=20ms"), rate=20, seed=0, precision=0.04)
    assert found.requests == pytest.approx(20 * 0.5, abs=2)  # 20 ms / 0.04, after 3 s of warm-up
    assert found.errors == {}
    assert len(seen.bodies) == pytest.approx(20 * 3.5, abs=2)
    assert {body.decode() for body in seen.bodies} == {"audio a", "audio b"}
    assert {headers["Authorization"] for headers in seen.headers} == {"Bearer secret"}
