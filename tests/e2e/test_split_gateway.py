"""Which way the gateway sends long requests, in front of a double of Triton: no model server runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from speaker_id.settings import Settings

from measure.chaos.recordings import by_libsndfile, tones
from serving.gateway.envoy import Gateway
from serving.gateway.scripts import LARGE
from serving.recordings.configuration import Served
from serving.recordings.process import UNAVAILABLE
from tests.doubles.triton_server import LENGTH, Double, behind_gateway
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

RECORDING = by_libsndfile("WAV", "PCM_16", tones(4.0, 16_000), 16_000)
RANKING = {
    "outputs": [
        {"name": "label", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "b"]},
        {"name": "score", "datatype": "FP32", "shape": [2, 1], "data": [0.75, 0.5]},
    ]
}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Double, Gateway]]:
    with behind_gateway(tmp_path_factory.mktemp("run"), {"demo": Served(Settings(), 1)}) as both:
        yield both


def ready(gateway: Gateway) -> Any:
    return requests.get(f"{gateway.url}/v2/health/ready", timeout=600).json()


def post(gateway: Gateway, body: bytes, path: str = "/predictions/demo", **headers: str) -> requests.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(gateway.url + path, body, headers=given, timeout=600)


def test_without_a_splitter_windows_and_large_json_are_refused(
    started: tuple[Double, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    double, gateway = started
    assert gateway.watch is not None
    monkeypatch.setattr(gateway.watch, "degraded", lambda: UNAVAILABLE)
    wait_until(lambda: "degraded" in ready(gateway))
    assert ready(gateway) == {"ready": True, "degraded": UNAVAILABLE}
    double.seen.clear()
    large = json.dumps({"inputs": "A" * LARGE}).encode()
    for body, headers in (
        (RECORDING, {"x_windows": "3"}),
        (b'{"inputs": "", "parameters": {"windows": 2}}', {}),
        (large, {"content_type": "application/json"}),
    ):
        refused = post(gateway, body, **headers)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert "windows" in refused.json()["error"]
        assert int(refused.headers["retry-after"]) > 0
    assert double.seen == []
    double.answers("200 OK", {"X-Model-Name": "demo", "X-Model-Version": "1.0"}, b'[{"label": "a"}]')
    for file in (bytes(LARGE + 1), RECORDING):
        assert post(gateway, file).json() == [{"label": "a"}]
    monkeypatch.undo()
    wait_until(lambda: ready(gateway) == {"ready": True})


def test_windows_are_answered_by_the_version_that_has_tritons_number(
    started: tuple[Double, Gateway],
) -> None:
    double, gateway = started
    double.seen.clear()
    text = json.dumps(RANKING)
    headers = {"X-Model-Name": "demo", "X-Model-Version": "2.0", "X-Audio-Seconds": "4.000"}
    double.answers("200 OK", headers, text.encode())
    answer = post(gateway, RECORDING, "/v2/models/demo/versions/2/infer", x_windows="2")
    assert answer.status_code == 200, answer.text
    assert [(each["start"], each["ranking"]) for each in answer.json()["windows"]] == [
        (0.0, [{"label": "a", "score": 0.75}]),
        (2.0, [{"label": "b", "score": 0.5}]),
    ]
    ((_, target, sent, _),) = double.seen
    assert target == "/v2/models/demo.http.2.0/infer"  # where the answer has the form that the splitter reads
    assert f"x-{LENGTH}" in sent


def test_a_body_that_is_too_large_for_a_clip_is_told_of_windows(started: tuple[Double, Gateway]) -> None:
    refused = post(started[1], bytes((32 << 20) + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "request_too_large")
    assert refused.json()["error"].endswith("or send one recording as the body with windows")
