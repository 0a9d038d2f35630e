"""Queries, computed by hand on recordings of a few scrapes, and as PromQL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from measure.dashboard import recording
from measure.dashboard.queries import Now, Quantile, Rate, Ratio, mean
from measure.dashboard.recording import Recording, of_scrapes

NAN = float("nan")


def recorded(*scrapes: str, every: float = 5.0) -> Recording:
    return of_scrapes([every * number for number in range(len(scrapes))], scrapes)


def retries(value: float) -> str:
    return f"# TYPE speaker_id_gateway_retries counter\nspeaker_id_gateway_retries_total {value}\n"


def test_a_rate_is_the_increase_over_ten_seconds() -> None:
    rates = Rate("speaker_id_gateway_retries_total").evaluate(recorded(*map(retries, (0, 10, 30, 60))))
    assert rates[()] == pytest.approx([NAN, 2, 3, 5], nan_ok=True)


def test_a_counter_that_begins_anew_has_grown_from_nothing() -> None:
    rates = Rate("speaker_id_gateway_retries_total").evaluate(recorded(*map(retries, (100, 110, 5))))
    assert rates[()] == pytest.approx([NAN, 2, 1.5], nan_ok=True)


def outcomes(ok: float, bad: float | None) -> str:
    lines = ["# TYPE speaker_id_requests counter"]
    lines += [f'speaker_id_requests_total{{model="a",version="1.0",code="ok"}} {ok}']
    lines += [f'speaker_id_requests_total{{model="b",version="1.0",code="ok"}} {ok}']
    if bad is not None:
        lines += [f'speaker_id_requests_total{{model="a",version="1.0",code="corrupt_audio"}} {bad}']
    return "\n".join(lines) + "\n"


def test_a_rate_is_summed_over_the_labels_that_are_not_asked_by() -> None:
    scrapes = recorded(outcomes(0, None), outcomes(10, 0), outcomes(20, 5))
    by_code = Rate("speaker_id_requests_total", ("code",)).evaluate(scrapes)
    assert by_code["ok",][2] == pytest.approx(4)
    assert by_code["corrupt_audio",] == pytest.approx([NAN, NAN, 1], nan_ok=True)
    assert Rate("speaker_id_requests_total", ("code",), {"code": "ok"}).evaluate(scrapes).keys() == {
        ("corrupt_audio",)
    }


def histogram(low: int, middle: int, total: int, seconds: float) -> str:
    name = "speaker_id_request_seconds"
    lines = [f"# TYPE {name} histogram"]
    bounds = (("1.0", low), ("2.0", middle), ("+Inf", total))
    lines += [f'{name}_bucket{{model="a",le="{bound}"}} {count}' for bound, count in bounds]
    lines += [f'{name}_count{{model="a"}} {total}', f'{name}_sum{{model="a"}} {seconds}']
    return "\n".join(lines) + "\n"


def test_a_quantile_is_interpolated_within_its_bucket_and_ends_at_the_last_bound() -> None:
    scrapes = recorded(histogram(0, 0, 0, 0), histogram(50, 90, 100, 120))
    found = {q: Quantile(q, "speaker_id_request_seconds").evaluate(scrapes)[()][1] for q in (0.25, 0.7, 0.99)}
    assert found == pytest.approx({0.25: 0.5, 0.7: 1.5, 0.99: 2.0})
    assert np.isnan(Quantile(0.5, "speaker_id_request_seconds").evaluate(scrapes)[()][0])


def test_a_mean_is_nothing_where_nothing_was_observed() -> None:
    scrapes = recorded(histogram(0, 0, 0, 0), histogram(50, 90, 100, 120), histogram(50, 90, 100, 120))
    assert mean("speaker_id_request_seconds").evaluate(scrapes)[()][1] == pytest.approx(1.2)
    still = recorded(histogram(1, 1, 1, 1), histogram(1, 1, 1, 1))
    assert np.isnan(mean("speaker_id_request_seconds").evaluate(still)[()][1])


def test_the_same_queries_as_promql() -> None:
    asked = {
        Now("speaker_id_gateway_active_requests").promql: "sum (speaker_id_gateway_active_requests)",
        Rate("speaker_id_requests_total", ("code",), {"code": "ok"}).promql: (
            'sum by (code) (rate(speaker_id_requests_total{model=~"$model",code!="ok"}[$__rate_interval]))'
        ),
        Quantile(0.99, "speaker_id_request_seconds").promql: (
            "histogram_quantile(0.99, "
            'sum by (le) (rate(speaker_id_request_seconds_bucket{model=~"$model"}[$__rate_interval])))'
        ),
        Ratio(Now("speaker_id_gateway_connections"), Now("speaker_id_gateway_active_requests")).promql: (
            "sum (speaker_id_gateway_connections) / (sum (speaker_id_gateway_active_requests) > 0)"
        ),
    }
    assert list(asked) == list(asked.values())


def test_a_recording_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    scrapes = recorded(outcomes(0, None), outcomes(10, 2.5))
    recording.write(scrapes, tmp_path / "a.csv.gz")
    again = recording.read(tmp_path / "a.csv.gz")
    assert list(again.times) == [0, 5]
    assert again.series.keys() == scrapes.series.keys()
    for key, values in scrapes.series.items():
        assert again.series[key] == pytest.approx(values, nan_ok=True)
    recording.write(again, tmp_path / "b.csv.gz")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
