"""Long requests at the gateway, in front of a real server: answered as without the splitter, and in parts."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import math
import os
import signal
import socket
import stat
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
import soundfile

from serving.gateway.envoy import Gateway
from serving.recordings import process
from tests.e2e.raw import over_http1
from tests.e2e.started import CLIPS
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

MANY = [CLIPS[number % len(CLIPS)].read_bytes() for number in range(64)]
TOLERANCE = 2e-5


def post(gateway: Gateway, body: bytes, path: str = "/predictions/demo", **headers: str) -> requests.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(gateway.url + path, data=body, headers=given, timeout=600)


def v1(clips: list[bytes], **parameters: Any) -> bytes:
    given = [{"b64": base64.b64encode(clip).decode()} for clip in clips]
    return json.dumps({"instances": given, "parameters": parameters}).encode()


def v2(clips: list[bytes]) -> tuple[bytes, int]:
    """A body of one binary tensor, and the length of its JSON."""
    content = b"".join(len(clip).to_bytes(4, "little") + clip for clip in clips)
    tensor = {
        "name": "audio",
        "shape": [len(clips)],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(content)},
    }
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}, "id": "many"}).encode()
    return text + content, len(text)


def sent(gateway: Gateway) -> dict[str, int]:
    """What the splitter has counted so far."""
    assert gateway.splitter is not None
    wait_until(gateway.splitter.configuration.listen.exists)  # it is starting
    return gateway.splitter.counts()


@pytest.fixture(scope="module")
def alone() -> dict[str, list[Any]]:
    """The answer to each clip by itself, by the server's name; filled by `singly`."""
    return {}


@pytest.fixture
def singly(gateway: Gateway, alone: dict[str, list[Any]]) -> list[Any]:
    name = gateway.server.name
    if name not in alone:
        alone[name] = [post(gateway, clip.read_bytes(), content_type="audio/flac").json() for clip in CLIPS]
    return [alone[name][number % len(CLIPS)] for number in range(len(MANY))]


def same(found: list[Any], expected: list[Any]) -> bool:
    """Whether two rankings are the same except for what company changes: labels of one score may change places."""
    by_label = [{each["label"]: each["score"] for each in ranking} for ranking in (found, expected)]
    return found[0]["label"] == expected[0]["label"] and all(
        abs(score - by_label[1].get(label, score)) <= TOLERANCE for label, score in by_label[0].items()
    )


def test_64_clips_are_answered_in_groups_as_each_by_itself(gateway: Gateway, singly: list[Any]) -> None:
    before = sent(gateway)
    answer = post(gateway, v1(MANY), "/v1/models/demo:predict", x_request_id="bulk")
    assert answer.status_code == 200, answer.text
    after = sent(gateway)
    assert after["clips"] == before["clips"] + 1
    assert after["groups"] >= before["groups"] + 4
    assert all(map(same, answer.json()["predictions"], singly))
    assert answer.headers["x-request-id"] == "bulk"
    seconds = sum(soundfile.info(CLIPS[number % len(CLIPS)]).duration for number in range(len(MANY)))
    assert float(answer.headers["x-audio-seconds"]) == pytest.approx(seconds, abs=0.1)
    assert answer.headers["content-type"] == "application/json"
    assert "server" not in answer.headers or "aiohttp" not in answer.headers["server"].lower()


def test_so_are_binary_tensors(gateway: Gateway, singly: list[Any]) -> None:
    body, length = v2(MANY)
    answer = post(gateway, body, "/v2/models/demo/infer", inference_header_content_length=str(length))
    assert answer.status_code == 200, answer.text
    cut = int(answer.headers["inference-header-content-length"])
    document, rest = json.loads(answer.content[:cut]), answer.content[cut:]
    labels, scores = document["outputs"]
    assert (document["id"], labels["shape"], scores["shape"]) == ("many", [64, 5], [64, 5])
    size = labels["parameters"]["binary_data_size"]
    found = np.frombuffer(rest[size:], "<f4").reshape(64, 5)
    best = [[each["score"] for each in ranking] for ranking in singly]
    assert np.abs(found - np.array(best)).max() <= TOLERANCE
    assert int.from_bytes(rest[:4], "little") == len(singly[0][0]["label"])


def test_an_error_names_its_clip_in_the_whole_request(gateway: Gateway) -> None:
    answer = post(gateway, v1([*MANY[:40], b"no audio", *MANY[41:]]))
    assert (answer.status_code, answer.json()["code"], answer.json()["instance"]) == (
        415,
        "unsupported_media",
        40,
    )


def test_an_error_of_what_is_passed_on_is_the_worker_s(gateway: Gateway) -> None:
    answer = post(gateway, b"no audio" * 40_000)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")


@pytest.mark.parametrize("name", ["X-Top-K", "X-Windows"])
def test_an_option_that_is_sent_twice_is_refused_as_ever(gateway: Gateway, name: str) -> None:
    body = v1(MANY)
    given = [("Host", "any"), (name, "1"), (name, "2"), ("Content-Length", str(len(body)))]
    answer = over_http1(gateway, "POST /predictions/demo HTTP/1.1", given, body)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "invalid_parameter")


@pytest.mark.parametrize("how", ["large", "in chunks", "compressed", "one clip"])
def test_what_is_not_split_is_answered_as_ever(gateway: Gateway, how: str) -> None:
    made = io.BytesIO()
    soundfile.write(made, np.tile(soundfile.read(CLIPS[0])[0], 6)[: 16_000 * 12], 16_000, format="WAV")
    bodies: dict[str, Any] = {
        "large": made.getvalue(),
        "in chunks": iter([made.getvalue()[:1000], made.getvalue()[1000:]]),
        "compressed": gzip.compress(made.getvalue()),
        "one clip": v1([made.getvalue()]),
    }
    small = post(gateway, made.getvalue(), content_type="audio/wav").json()
    coding = {"content_encoding": "gzip"} if how == "compressed" else {}
    before = sent(gateway)["passed"]
    answer = post(gateway, bodies[how], **coding)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["predictions"][0] if how == "one clip" else found) == small
    assert sent(gateway)["passed"] == before + 1


def test_a_caller_that_hangs_up_has_no_more_groups_sent(gateway: Gateway) -> None:
    body, before = v1(MANY), sent(gateway)
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port)) as caller:
        head = f"POST /predictions/demo HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        caller.sendall(head.encode() + body)
        wait_until(lambda: sent(gateway)["groups"] > before["groups"])
    wait_until(lambda: sent(gateway)["in_flight"] == 0)
    groups = sent(gateway)["groups"]
    assert groups < before["groups"] + 6
    time.sleep(0.5)
    assert sent(gateway)["groups"] == groups


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_splitter_that_ends_or_hangs_costs_its_callers_seconds_and_no_answer(
    gateway: Gateway, singly: list[Any], fault: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    splitter = gateway.splitter
    assert splitter is not None
    monkeypatch.setattr(process, "ASK_SECONDS", 0.3)
    monkeypatch.setattr(process, "HUNG_SECONDS", 1.0)
    wait_until(lambda: splitter.answered)
    pid, starts = splitter.pid, splitter.starts
    assert pid is not None
    os.kill(pid, fault)
    began = time.monotonic()
    answer = post(gateway, v1(MANY[:16]))
    assert answer.status_code == 200, answer.text
    assert all(map(same, answer.json()["predictions"], singly))
    assert time.monotonic() - began < 60
    assert splitter.starts == starts + 1
    assert splitter.pid != pid


def test_its_sockets_are_their_owner_s(gateway: Gateway) -> None:
    assert gateway.splitter is not None
    sockets = gateway.splitter.configuration.listen, gateway.splitter.configuration.inner
    assert [stat.S_IMODE(each.stat().st_mode) & 0o077 for each in sockets] == [0, 0]
    assert [stat.S_IMODE(each.parent.stat().st_mode) for each in sockets] == [0o700, 0o700]


RATE = 16_000
JOINED = np.concatenate([soundfile.read(clip, dtype="float32")[0] for clip in CLIPS])  # 55 s of sixteen clips


def recording(samples: Any, form: str = "FLAC", subtype: str = "PCM_16") -> bytes:
    made = io.BytesIO()
    soundfile.write(made, samples, RATE, format=form, subtype=subtype)
    return made.getvalue()


def test_each_window_is_answered_as_the_same_samples_alone(gateway: Gateway) -> None:
    answer = post(gateway, recording(JOINED), x_windows="3;hop=1.5", x_request_id="meeting")
    assert answer.status_code == 200, answer.text
    windows = answer.json()["windows"]
    last = math.ceil((len(JOINED) / RATE - 3) / 1.5)
    assert [each["start"] for each in windows] == [1.5 * number for number in range(last + 1)]
    assert windows[-1]["end"] == pytest.approx(len(JOINED) / RATE)
    assert float(answer.headers["x-audio-seconds"]) == pytest.approx(
        3 * last + (windows[-1]["end"] - windows[-1]["start"]), abs=1e-3
    )
    read = soundfile.read(io.BytesIO(recording(JOINED)), dtype="float32")[0]
    for window in (windows[0], windows[7], windows[-1]):
        samples = read[round(window["start"] * RATE) : round(window["end"] * RATE)]
        alone = post(gateway, recording(samples, "WAV", "FLOAT"), content_type="audio/wav").json()
        assert same(window["ranking"], alone)


def test_turns_follow_the_speakers_and_may_be_rttm(gateway: Gateway) -> None:
    body = recording(JOINED)
    answer = requests.post(f"{gateway.url}/predictions/demo?windows=1&hop=0.5&top_k=1", body, timeout=600)
    found = answer.json()
    turns = found["turns"]
    assert turns[0]["start"] == 0
    assert turns[-1]["end"] == found["windows"][-1]["end"]
    assert all(before["end"] == after["start"] for before, after in itertools.pairwise(turns))
    assert len(found["windows"][0]["ranking"]) == 1
    text = post(gateway, body, accept="text/rttm", x_windows="1;hop=0.5", x_request_id="m").text
    named = [turn["label"] for turn in turns if turn["label"] != "unknown"]
    assert [line.split()[7] for line in text.splitlines()] == named
    assert text.startswith("SPEAKER m 1 ")


@pytest.mark.parametrize("small", [True, False])
def test_json_may_ask_for_windows_whatever_its_size(gateway: Gateway, small: bool) -> None:
    samples = JOINED[: 4 * RATE] if small else JOINED
    text = base64.b64encode(recording(samples)).decode()
    body = json.dumps({"inputs": text, "parameters": {"windows": {"seconds": 2}, "top_k": 1}}).encode()
    assert (len(body) < 256 << 10) == small
    answer = post(gateway, body)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["windows"]) == math.ceil(len(samples) / RATE / 2)


def test_a_recording_is_received_in_chunks_and_larger_than_a_body_may_be(gateway: Gateway) -> None:
    large = recording(np.tile(JOINED, 12), "WAV", "FLOAT")
    assert len(large) > 33_554_432
    pieces = (large[start : start + 100_000] for start in range(0, len(large), 100_000))
    answer = requests.post(
        f"{gateway.url}/predictions/demo", pieces, headers={"X-Windows": "30", "X-Top-K": "1"}, timeout=600
    )
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["windows"]) == math.ceil(12 * len(JOINED) / RATE / 30)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"x_windows": "0.1"}, 400, "invalid_parameter"),
        ({"x_windows": "3"}, 415, "unsupported_media"),
        ({"x_windows": "3", "path": "/predictions/other"}, 404, "model_not_found"),
        ({"x_windows": "3", "path": "/predictions/demo/9.0"}, 404, "model_not_found"),
    ],
)
def test_what_is_wrong_with_a_request_for_windows_is_said(
    gateway: Gateway, headers: dict[str, str], status: int, code: str
) -> None:
    body = b"neither audio nor anything else" if status == 415 else recording(JOINED[: 5 * RATE])
    answer = post(gateway, body, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
