"""Answers and their times, counted from the gateway's access log."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from speaker_id.statuses import STATUS

from serving.gateway.codes import GATEWAY_ERRORS
from serving.metrics.access_log import AccessLog
from serving.metrics.served import Served

LINE = {"path": "/predictions/demo", "method": "POST", "status": 200, "ms": 350, "upload_ms": 100}


def write(path: Path, *lines: dict[str, Any]) -> None:
    with path.open("a") as log:
        log.writelines(json.dumps(LINE | line) + "\n" for line in lines)


def series(log: AccessLog, sample: str) -> dict[tuple[str, ...], float]:
    found = [each for family in log.collect() for each in family.samples if each.name == sample]
    return {tuple(each.labels.values()): each.value for each in found}


def values(log: AccessLog, sample: str) -> dict[tuple[str, ...], float]:
    return {labels: value for labels, value in series(log, sample).items() if value}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway_access.log"


@pytest.fixture
def log(path: Path) -> AccessLog:
    return AccessLog(path, Served({"demo": ["1.0"]}))


def test_statuses_are_counted_by_model(log: AccessLog, path: Path) -> None:
    write(path, {}, {"status": 429}, {"path": "/v1/models/demo:predict"}, {"path": "/v2/models/demo/infer"})
    write(path, {"path": "/predictions/demo/1.0/top_k/3", "status": 400})
    assert values(log, "speaker_id_responses_total") == {
        ("demo", "200"): 3,
        ("demo", "400"): 1,
        ("demo", "429"): 1,
    }


@pytest.mark.parametrize(
    "path_asked",
    [
        "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions",
        "/inference.GRPCInferenceService/ModelInfer",
    ],
)
def test_calls_over_grpc_are_one_label_as_their_message_names_the_model(
    log: AccessLog, path: Path, path_asked: str
) -> None:
    write(path, {"path": path_asked})
    assert values(log, "speaker_id_responses_total") == {("grpc", "200"): 1}


def test_what_alerts_watch_is_there_before_the_first_request(log: AccessLog) -> None:
    statuses = {error.status for error in GATEWAY_ERRORS} | {str(status.value) for status in STATUS.values()}
    watched = {status for status in statuses if re.fullmatch("429|5..", status)}  # as rules.yaml has it
    assert len(watched) > 4
    assert series(log, "speaker_id_responses_total") == {("demo", each): 0 for each in watched | {"200"}}
    assert set(series(log, "speaker_id_request_seconds_bucket").values()) == {0}


def test_names_that_callers_make_up_are_one_label(log: AccessLog, path: Path) -> None:
    write(path, *({"path": f"/predictions/{number}", "status": 404} for number in range(50)))
    assert values(log, "speaker_id_responses_total") == {("unknown", "404"): 50}


def test_health_probes_are_not_counted(log: AccessLog, path: Path) -> None:
    probes = ["/", "/v1", "/ping", "/v2/health/ready", "/v2/health/live", "/v2/models/demo/ready"]
    probes += [
        "/v1/models/demo",
        "/v1/models",
        "/v2/models",
        "/v2/models/demo/config",
        "/v2/models/demo/stats",
    ]
    write(path, *({"path": probe, "method": method} for probe in probes for method in ("GET", "HEAD")))
    assert values(log, "speaker_id_responses_total") == {}


def test_nor_are_those_over_grpc(log: AccessLog, path: Path) -> None:
    write(path, {"path": "/grpc.health.v1.Health/Check"})
    assert values(log, "speaker_id_responses_total") == {}


def test_nor_is_what_a_caller_sends_beyond_its_share(log: AccessLog, path: Path) -> None:
    write(path, {"status": 429, "over": "requests"}, {"status": 429, "over": None})
    assert values(log, "speaker_id_responses_total") == {("demo", "429"): 1}


def test_a_request_takes_from_its_whole_arrival_to_its_whole_answer(log: AccessLog, path: Path) -> None:
    write(path, {"ms": 350, "upload_ms": 100}, {"ms": 61_000, "upload_ms": None}, {"status": 500})
    assert values(log, "speaker_id_request_seconds_sum") == {("demo",): pytest.approx(61.25)}
    buckets = series(log, "speaker_id_request_seconds_bucket")
    assert [buckets["demo", bound] for bound in ("0.2", "0.3", "60.0", "120.0", "+Inf")] == [0, 1, 1, 2, 2]


def test_what_a_former_server_wrote_is_passed_over(path: Path) -> None:
    write(path, {}, {})
    log = AccessLog(path, Served({"demo": ["1.0"]}))
    write(path, {})
    assert values(log, "speaker_id_responses_total") == {("demo", "200"): 1}


def test_a_rotation_loses_nothing_and_counts_nothing_twice(log: AccessLog, path: Path) -> None:
    write(path, {})
    assert values(log, "speaker_id_responses_total") == {("demo", "200"): 1}
    write(path, {})
    old = path.rename(path.with_suffix(".1.log"))
    assert values(log, "speaker_id_responses_total") == {("demo", "200"): 1}, "between two logs"
    write(old, {})
    write(path, {})
    assert values(log, "speaker_id_responses_total") == {("demo", "200"): 4}


def test_a_line_that_is_half_written_counts_once_it_is_whole(log: AccessLog, path: Path) -> None:
    line = json.dumps(LINE) + "\n"
    path.write_text(line[:20])
    assert values(log, "speaker_id_responses_total") == {}
    with path.open("a") as file:
        file.write(line[20:])
    assert values(log, "speaker_id_responses_total") == {("demo", "200"): 1}


def test_lines_that_a_full_disk_cut_off_are_passed_over(log: AccessLog, path: Path) -> None:
    path.write_text('{"path": "/pred\n\n[1]\n' + json.dumps(LINE) + "\n")
    assert values(log, "speaker_id_responses_total") == {("demo", "200"): 1}


def test_a_device_in_the_logs_place_is_an_error_and_not_read_for_ever(log: AccessLog, path: Path) -> None:
    path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="is not a regular file"):
        list(log.collect())
