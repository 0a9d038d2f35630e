"""What a worker tells, in TorchServe's own words for it."""

from __future__ import annotations

import json
import logging
import re
import time
from pathlib import Path

import pytest
import speaker_telemetry
from speaker_id.certainty import Certainty
from speaker_id.errors import CorruptAudio
from speaker_id.job import Outcome
from speaker_id.protocol import Model
from speaker_id.statuses import STATUS
from speaker_telemetry import Telemetry, TorchServeSink, trace_of, waited
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.metrics.metric_type_enum import MetricTypes

from serving.torchserve import declaration

MODEL = Model("demo", "1.0")
ANSWERED = Outcome(
    None, None, 2.0, 0.01, 0.5, clips=1, skipped_frames=3, certainties=[Certainty(0.25, 0.5, 1.5)]
)
FAILED = Outcome(None, CorruptAudio("no"), clips=1)
JAVA = re.compile(  # org.pytorch.serve.metrics.Metric of TorchServe 0.12
    r"\s*([\w\s]+)\.([\w\s]+):([0-9\-,.e]+)\|#([^|]*)(\|#type:([^|,]+))?\|#hostname:([^,]+),([^,]+)(,(.*))?"
)


# TorchServe leaves its metrics.yaml open
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file.*metrics.yaml:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored.*metrics.yaml:pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture
def cache(tmp_path: Path) -> MetricsCacheYamlImpl:
    """What TorchServe makes of the file that `make serve` writes."""
    file = tmp_path / declaration.FILE
    file.write_text(declaration.text())
    return read(file)


def read(file: Path) -> MetricsCacheYamlImpl:
    made = MetricsCacheYamlImpl(config_file_path=str(file))
    made.initialize_cache()
    return made


def telemetry(cache: MetricsCacheYamlImpl | None) -> Telemetry:
    return Telemetry(TorchServeSink(cache, MODEL), MODEL)


def told(caplog: pytest.LogCaptureFixture, worker: Telemetry) -> dict[str, list[tuple[str, float]]]:
    """Metric → labels and values of a batch of two requests."""
    with caplog.at_level(logging.INFO, speaker_telemetry.__name__):
        caplog.clear()
        worker.batch([ANSWERED, FAILED], [0.125, None], 0.75)
    found: dict[str, list[tuple[str, float]]] = {}
    for record in caplog.records:
        for line in record.message.splitlines():
            parsed = JAVA.fullmatch(line.removeprefix("[METRICS]"))
            assert parsed, line
            found.setdefault(parsed[1], []).append((parsed[4], float(parsed[3])))
    return found


def test_a_batch_is_told_in_one_line_a_value(
    caplog: pytest.LogCaptureFixture, cache: MetricsCacheYamlImpl
) -> None:
    both = "model:demo,version:1.0"
    assert told(caplog, telemetry(cache)) == {
        "speaker_id_requests_total": [(f"{both},code:ok", 1), (f"{both},code:corrupt_audio", 1)],
        "speaker_id_queue_seconds": [(both, 0.125)],
        "speaker_id_decode_seconds": [(both, 0.01)],
        "speaker_id_inference_seconds": [(both, 0.5)],
        "speaker_id_answer_surprise_nats": [(both, 0.25)],
        "speaker_id_answer_margin": [(both, 0.5)],
        "speaker_id_answer_entropy_nats": [(both, 1.5)],
        "speaker_id_skipped_frames_total": [(both, 3)],
        "speaker_id_batch_seconds": [(both, 0.75)],
        "speaker_id_batch_clips": [(both, 2)],
        "speaker_id_batch_audio_seconds": [(both, 2.0)],
    }
    assert len(caplog.records) == 1, "one call of the logger and of the system"


def test_the_lines_are_those_that_torchserves_own_call_writes(
    caplog: pytest.LogCaptureFixture, cache: MetricsCacheYamlImpl
) -> None:
    with caplog.at_level(logging.INFO):
        metric = cache.get_metric("speaker_id_requests_total", MetricTypes.COUNTER)
        metric.add_or_update(1.25, ["demo", "1.0", "ok"])
        theirs = caplog.records[-1].message
        TorchServeSink(cache, MODEL).send([("speaker_id_requests_total", 1.25, "ok")])
        ours = caplog.records[-1].message
    assert ours.rsplit(",", 1)[0] == theirs.rsplit(",", 1)[0].replace("1.25|", "1.250000|")


def test_every_outcome_is_a_series_before_it_happens(
    caplog: pytest.LogCaptureFixture, cache: MetricsCacheYamlImpl
) -> None:
    with caplog.at_level(logging.INFO, speaker_telemetry.__name__):
        telemetry(cache).started()
    zeros = re.findall(r"requests_total\.[^:]+:0\.0+\|#[^|]*code:(\w+)\|", caplog.text)
    # a counter that begins with its first event has no increase at that event
    assert sorted(zeros) == sorted(["ok", *(error.code for error in STATUS)])


def test_a_torchserve_that_does_not_know_our_metrics_is_told_none(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    foreign = tmp_path / "metrics.yaml"
    foreign.write_text("model_metrics: {gauge: [{name: PredictionTime, unit: ms, dimensions: [Level]}]}\n")
    assert told(caplog, telemetry(read(foreign))) == {}
    assert told(caplog, telemetry(None)) == {}


def test_a_value_that_is_no_number_is_not_told(
    caplog: pytest.LogCaptureFixture, cache: MetricsCacheYamlImpl
) -> None:
    with caplog.at_level(logging.INFO, speaker_telemetry.__name__):
        TorchServeSink(cache, MODEL).send([("speaker_id_queue_seconds", float("nan"))])
    assert caplog.records == []


def test_an_event_is_one_json_object(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, speaker_telemetry.__name__):
        telemetry(None).event("request", request='a"b\n', status=200)
    line = json.loads(caplog.records[-1].message)
    assert "\n" not in caplog.records[-1].message
    assert (line["event"], line["model"], line["version"], line["request"]) == (
        "request",
        "demo",
        "1.0",
        'a"b\n',
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_lines_of_a_batch_are_written_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, speaker_telemetry.__name__):
        telemetry(None).event("request", {"request": "a"}, {"request": "b\n"}, batch=2)
    (record,) = caplog.records
    lines = [json.loads(line) for line in record.message.split("\n")]
    assert [(line["event"], line["request"], line["batch"]) for line in lines] == [
        ("request", "a", 2),
        ("request", "b\n", 2),
    ]


def test_the_wait_begins_once_the_request_is_whole() -> None:
    began = time.time() - 10
    assert waited({"x-received": f"{began:.9f} 4000 17"}) == pytest.approx(6, abs=0.5)


@pytest.mark.parametrize("given", ["", "x", "1.0", "-1.0 5", "nan 1", "1.5 1", "99999999999.0 1x", "1.5 1 x"])
def test_no_wait_is_made_of_what_no_gateway_wrote(given: str) -> None:
    assert waited({"x-received": given}) is None
    assert waited({}) is None


def test_a_clock_that_is_ahead_makes_no_negative_wait() -> None:
    assert waited({"x-received": f"{time.time() + 60:.3f} 0"}) == 0


@pytest.mark.parametrize(
    ("given", "trace"),
    [
        (f"00-{'ab' * 16}-{'cd' * 8}-01", {"trace": "ab" * 16}),
        (f"00-{'AB' * 16}-{'cd' * 8}-01", {}),
        ('","x":"', {}),
    ],
)
def test_a_trace_is_known_by_its_form(given: str, trace: dict[str, str]) -> None:
    assert trace_of({"traceparent": given}) == trace
