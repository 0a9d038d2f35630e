"""clients/identify.py against the demo model behind its gateway."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bundle.samples import samples
from clients import identify
from clients.identify import Client, Refused
from serving.gateway.envoy import Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

SAMPLES = Path(__file__).resolve().parents[2] / "models" / "demo" / "samples"
CLIPS = samples(SAMPLES)


def test_a_folder_of_clips_is_identified_through_the_command_line(gateway: Gateway) -> None:
    command = [
        sys.executable,
        identify.__file__,
        str(SAMPLES),
        "--url",
        gateway.url,
        "--top-k",
        "1",
        "--format",
        "csv",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    rows = list(csv.DictReader(ran.stdout.splitlines()))
    assert [(Path(row["clip"]), row["label"]) for row in rows] == sorted(
        (each.path, each.speaker) for each in CLIPS
    )


def test_what_is_not_audio_is_that_clips_error_in_the_servers_words(
    gateway: Gateway, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no audio at all")
    assert identify.main([str(notes), str(CLIPS[0].path), "--url", gateway.url, "--format", "jsonl"]) == 1
    bad, good = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert bad["code"] == "unsupported_media"
    assert good["labels"][0]["label"] == CLIPS[0].speaker


def test_options_reach_the_model(gateway: Gateway) -> None:
    with Client(gateway.url, version="2.0") as client:
        answer = client.identify(CLIPS[0].path, top_k=2, function_to_apply="none")
    assert len(answer.labels) == 2
    assert answer.labels[0].score > 1  # a logit


def test_a_wrong_option_is_refused_with_its_reason(gateway: Gateway) -> None:
    with Client(gateway.url) as client, pytest.raises(Refused) as caught:
        client.identify(CLIPS[0].path, function_to_apply="relu")
    assert (caught.value.status, caught.value.code) == (400, "invalid_parameter")


def test_a_model_that_is_not_there_is_named(gateway: Gateway) -> None:
    with Client(gateway.url, "nobody") as client, pytest.raises(Refused, match="nobody"):
        client.identify(CLIPS[0].path)


def test_standard_input_is_a_clip(gateway: Gateway) -> None:
    command = [sys.executable, identify.__file__, "-", "--url", gateway.url, "--format", "json"]
    content = CLIPS[0].path.read_bytes()
    ran = subprocess.run(command, input=content, capture_output=True, timeout=600, check=True)
    (record,) = json.loads(ran.stdout)
    assert record["clip"] == "-"
    assert record["labels"][0]["label"] == CLIPS[0].speaker


def test_the_answer_tells_version_and_length(gateway: Gateway) -> None:
    with Client(gateway.url) as client:
        answer = client.identify(CLIPS[0].path)
    assert answer.model_version == "2.0"
    assert answer.audio_seconds == pytest.approx(CLIPS[0].seconds, abs=0.01)
    assert answer.request_id


def test_a_body_that_is_too_large_is_refused_with_the_limit(gateway: Gateway) -> None:
    with Client(gateway.url) as client, pytest.raises(Refused, match="33554432 bytes") as caught:
        client.identify(bytes(40 << 20))
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")


def test_a_queue_that_is_full_is_waited_for(stub_gateway: Gateway) -> None:
    with Client(stub_gateway.url, "narrow", retries=8) as client, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(client.identify, [b"sleep 0.2"] * 10))
    assert [answer.labels[0].label for answer in answers] == ["stub"] * 10
    assert max(answer.attempts for answer in answers) > 1
