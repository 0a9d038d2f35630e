from __future__ import annotations

import math

import pytest

from measure.loadtest.slo import parse
from measure.loadtest.summary import percentile, seconds, summary
from tests.unit.measure.loadtest.records import record


def test_a_percentile_is_the_least_value_that_covers_its_share() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, q) for q in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.01) == 7


def test_latency_counts_from_the_scheduled_arrival() -> None:
    late = record(1.0, sent=1.5, finished=2.0)
    assert (late.latency, late.lag) == (1.0, 0.5)
    assert summary([late]).p50 == 1.0


def test_what_is_neither_decoding_nor_inference_is_queue() -> None:
    assert record(1.0, 0.5, decode_ms=20.0, inference_ms=180.0).queue_ms == pytest.approx(300)
    assert record(1.0, 0.5).queue_ms is None


def test_rates_are_those_of_the_window_after_the_warm_up() -> None:
    found = summary([record(moment / 2) for moment in range(20)], warmup_seconds=2, end=10)
    assert (found.requests, found.offered, found.seconds) == (16, 2.0, 8.0)
    assert found.served == pytest.approx(2.0)
    assert found.audio_rate == pytest.approx(4.0)


def test_a_server_that_falls_behind_serves_less_than_is_offered() -> None:
    found = summary([record(float(moment), latency=0.5 + moment) for moment in range(10)], end=10)
    assert found.offered == 1.0
    assert found.served == 0.5  # due at 0 to 4 s: later ones are answered after the end


def test_a_failed_request_is_infinitely_late_however_fast_it_failed() -> None:
    records = [record(float(moment), 1.0) for moment in range(98)]
    records += [
        record(98.0, 0.001, error="overloaded", status=503),
        record(99.0, 0.001, error="timeout", status=0),
    ]
    found = summary(records)
    assert (found.p50, found.p95, found.p99) == (1.0, 1.0, math.inf)
    assert found.errors == {"overloaded": 1, "timeout": 1}
    assert found.error_rate == 0.02
    assert found.to_json()["p99"] is None


def test_breaches_name_value_and_bound() -> None:
    records = [record(float(moment), 0.5 if moment < 90 else 3.0) for moment in range(100)]
    records[0] = record(0.0, error="overloaded", status=503)
    found = summary(records)
    assert found.breaches(parse("p50=1s,p99=4s")) == []
    assert found.breaches(parse("p50=400ms,p95=2s,errors=0.5%")) == [
        "p50 is 500 ms, above 0.4 s",
        "p95 is 3.00 s, above 2 s",
        "1 % of the requests failed, above 0.5 %",
    ]
    assert found.breaches(parse("p50=0.5s,errors=1%")) == []


def test_the_interval_of_p99_opens_upwards_when_there_are_too_few_requests() -> None:
    few = summary([record(float(moment), moment / 100) for moment in range(100)])
    assert few.interval(0.99)[1] == math.inf
    many = summary([record(float(moment), moment / 1000) for moment in range(1000)])
    low, high = many.interval(0.99)
    # the 2.5 % and 97.5 % quantiles of Bin(1000, 0.99) are 983 and 996: from the 983rd to the 997th
    assert (low, high) == pytest.approx((0.982, 0.996))


def test_a_generator_that_lags_makes_the_run_invalid() -> None:
    assert summary([record(float(moment), sent=moment + 0.049) for moment in range(100)]).valid
    lagging = [
        record(float(moment), sent=moment + (0.06 if moment in (1, 50) else 0.0)) for moment in range(100)
    ]
    assert not summary(lagging).valid
    lagging[1] = record(1.0)
    assert summary(lagging).valid  # one in a hundred may be
    assert summary([record(0.0), record(1.0, sent=1.5), record(2.0)]).valid  # or one of a few
    assert not summary([record(0.0, sent=0.5), record(1.0, sent=1.5), record(2.0)]).valid


def test_nothing_after_the_warm_up_is_an_error() -> None:
    with pytest.raises(ValueError, match="after the 5 s of warm-up"):
        summary([record(1.0)], warmup_seconds=5)


def test_seconds_for_people() -> None:
    assert [seconds(value) for value in (0.0123, 0.9, 1.234, math.inf)] == ["12 ms", "900 ms", "1.23 s", "∞"]
