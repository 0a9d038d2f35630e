"""The TorchServe adapter, with TorchServe's own Context and message codec around the demo model.

One file, though long: all its tests share one loaded handler.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import speaker_handler
import speaker_worker
from hypothesis import given, settings
from hypothesis import strategies as st
from speaker_handler import SpeakerHandler, asked
from speaker_id.activity import batch_of
from speaker_id.decoders.patience import Patience
from speaker_id.manifest import CheckpointError
from speaker_worker import fair_share
from ts.context import Context, RequestProcessor
from ts.model_loader import list_classes_from_module
from ts.protocol import otf_message_handler

from bundle import archive
from tests.doubles.demo import demo_speaker

ROOT = Path(__file__).resolve().parents[2]
AUDIO = sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))[0].read_bytes()


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    checkpoint = archive.prepare(demo_speaker(), folder / "build")
    shutil.copytree(checkpoint, folder / "checkpoint")
    return folder


def context(model_dir: Path, **config: Any) -> Context:
    manifest = {"model": {"modelName": "demo", "modelVersion": "1.0"}}
    return Context("demo", str(model_dir), manifest, 8, None, "0.12.0", model_yaml_config=config)


@pytest.fixture(scope="module")
def handler(model_dir: Path) -> SpeakerHandler:
    handler = SpeakerHandler()
    handler.initialize(context(model_dir, speaker_id={"warmup_seconds": [0.1]}))
    return handler


def handle(
    handler: SpeakerHandler, rows: Sequence[Mapping[str, Any]], headers: Mapping[str, Any] | None = None
) -> tuple[list[Any], Context]:
    batch = context(Path())
    batch.request_processor = [RequestProcessor(dict(headers or {})) for _ in rows]
    batch.request_ids = {index: f"id-{index}" for index in range(len(rows))}
    return [json.loads(body) for body in handler.handle(rows, batch)], batch


def test_the_module_defines_the_one_class_that_torchserve_looks_for() -> None:
    assert list_classes_from_module(speaker_handler) == [SpeakerHandler]


def test_each_row_gets_its_own_status_and_type(handler: SpeakerHandler) -> None:
    bodies, batch = handle(handler, [{"body": AUDIO}, {"body": b"?"}, {"data": AUDIO}])
    assert [batch.get_response_status(index) for index in range(3)] == [
        (200, "OK"),
        (415, "Unsupported Media Type"),
        (200, "OK"),
    ]
    assert {batch.get_response_content_type(index) for index in range(3)} == {"application/json"}
    assert bodies[0] == bodies[2]
    assert bodies[1]["code"] == "unsupported_media"


def test_a_binary_answer_says_where_its_json_ends(handler: SpeakerHandler) -> None:
    batch = context(Path())
    headers = {"Inference-Header-Content-Length": "0"}  # the body is the one element of a tensor
    batch.request_processor = [RequestProcessor(headers), RequestProcessor(headers)]
    batch.request_ids = {0: "a", 1: "b"}
    binary, refused = handler.handle([{"body": AUDIO}, {"body": b"?"}], batch)
    kinds = [batch.get_response_content_type(index) for index in range(2)]
    assert kinds == ["application/octet-stream", "application/json"]
    length = int(batch.get_response_headers(0)["Inference-Header-Content-Length"])
    label, score = json.loads(binary[:length])["outputs"]
    sizes = [output["parameters"]["binary_data_size"] for output in (label, score)]
    assert (len(binary), sizes[1]) == (length + sum(sizes), 4 * 5)
    assert "Inference-Header-Content-Length" not in batch.get_response_headers(1)
    assert json.loads(refused)["code"] == "unsupported_media"


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="this system has no /proc")
def test_the_worker_shows_a_batch_while_it_has_one_in_hand(
    handler: SpeakerHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str | None] = []
    monkeypatch.setattr(handler.telemetry, "event", lambda *_, **__: shown.append(batch_of(os.getpid())))
    for _ in range(2):
        handle(handler, [{"body": b"?"}])
        assert batch_of(os.getpid()) is None
    assert len(set(shown)) == 2
    assert None not in shown


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="this system has no /proc")
def test_a_batch_is_shown_as_another_once_a_clip_of_it_was_given_up(
    handler: SpeakerHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*_: object, **__: object) -> None:
        shown.append(batch_of(os.getpid()))
        raise Patience(None).late()

    shown: list[str | None] = []
    monkeypatch.setattr(handler.pipeline.decoders, "decode", decode)
    monkeypatch.setattr(handler.telemetry, "event", lambda *_, **__: shown.append(batch_of(os.getpid())))
    handle(handler, [{"body": AUDIO}])
    first, last = shown
    assert first
    assert last
    assert first != last


def test_frames_that_were_skipped_are_said_in_a_header(handler: SpeakerHandler) -> None:
    damaged = (ROOT / "tests/unit/handler/audio/cases/one_bad_frame.mp3").read_bytes()
    _, batch = handle(handler, [{"body": AUDIO}, {"body": damaged}])
    headers = [batch.request_processor[index].get_response_headers() for index in range(2)]
    assert [each["X-Audio-Skipped-Frames"] for each in headers] == ["0", "1"]


def test_an_empty_batch_is_an_empty_answer(handler: SpeakerHandler) -> None:
    assert handle(handler, [])[0] == []


def test_the_log_line_holds_sizes_and_times_only(
    handler: SpeakerHandler, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        (ranking,), _ = handle(handler, [{"body": AUDIO}])
    line = json.loads(caplog.records[-1].message)
    sizes = {"audio_s", "skipped", "decode_ms", "inference_ms"}
    ids = {"time", "level", "event", "model", "version", "pid", "request", "status", "code", "batch", "clips"}
    assert line.keys() == ids | sizes
    assert (line["event"], line["request"], line["status"], line["code"]) == ("request", "id-0", 200, "ok")
    assert (line["model"], line["version"], line["batch"], line["clips"]) == ("demo", "1.0", 1, 1)
    assert not any(entry["label"] in caplog.text or str(entry["score"]) in caplog.text for entry in ranking)


def test_each_request_of_a_batch_has_a_log_line(
    handler: SpeakerHandler, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        handle(handler, [{"body": AUDIO}, {"body": b"?"}])
    lines = [json.loads(line) for line in caplog.records[-1].message.split("\n")]
    assert [(line["request"], line["status"], line["batch"]) for line in lines] == [
        ("id-0", 200, 2),
        ("id-1", 415, 2),
    ]


def test_an_embedding_stands_in_no_log_line(
    handler: SpeakerHandler, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        (answer,), _ = handle(handler, [{"body": AUDIO}], {"X-Output": "embedding"})
    assert answer["dim"] == len(answer["embedding"]) > 1
    assert "embedding" not in caplog.text
    assert not any(
        f"{value:.4f}" in caplog.text or str(value) in caplog.text for value in answer["embedding"]
    )


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        ("7c1f-a.b_c", "7c1f-a.b_c"),
        ('x","status":200', "id-0"),
        ("x" * 65, "id-0"),
    ],
)
def test_the_log_line_has_the_callers_own_id_if_it_is_one(
    handler: SpeakerHandler, caplog: pytest.LogCaptureFixture, given: str, logged: str
) -> None:
    with caplog.at_level(logging.INFO):
        handle(handler, [{"body": b"?"}], {"X-Request-Id": given})
    assert json.loads(caplog.records[-1].message)["request"] == logged


class Wire:
    """What TorchServe's front end would send next."""

    def __init__(self, *fields: bytes) -> None:
        self.left = b"".join(struct.pack("!i", len(field)) + field for field in fields)

    def recv(self, length: int) -> bytes:
        taken, self.left = self.left[:length], self.left[length:]
        return taken


@pytest.mark.parametrize("content_type", [b"application/json", b"text/plain; charset=utf-8"])
def test_bodies_stay_bytes_for_the_one_parser_that_bounds_them(
    handler: SpeakerHandler, content_type: bytes
) -> None:
    content = b'{"inputs": "AAAA"}'
    assert otf_message_handler._retrieve_input_data(Wire(b"body", content_type, content)) == {
        "name": "body",
        "contentType": content_type.decode(),
        "value": content,
    }


def test_a_form_that_the_gateway_left_whole_is_taken_apart(handler: SpeakerHandler) -> None:
    twice = b'--b\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n1\r\n' * 2 + b"--b--"
    (body,), _ = handle(handler, [{"body": twice}], {"X-Form": "multipart/form-data; boundary=b"})
    assert "two parts named 'top_k'" in str(body["error"])


def test_a_record_for_a_part_is_no_header() -> None:
    # TorchServe mixes {"body": {"content-type": …}} in among the headers
    batch = context(Path())
    batch.request_processor = [
        RequestProcessor({"body": {"content-type": "audio/wav"}, "url_path": "top_k/3", "A": "b"})
    ]
    batch.request_ids = {0: "id"}
    understood = asked({"body": b""}, batch, 0).payload
    assert understood.headers == {"url_path": "top_k/3", "a": "b"}
    assert understood.path == "top_k/3"


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_what_the_gateway_calls_a_request_is_in_its_headers_or_among_the_inputs_of_a_call(
    kind: type[bytes | bytearray],
) -> None:
    batch = context(Path())
    batch.request_ids = {0: "a", 1: "b"}
    batch.request_processor = [RequestProcessor({"X-Received": "1.5 20 7"}), RequestProcessor({})]
    over_http = asked({"body": b"clip"}, batch, 0)
    over_grpc = asked({"data": b"clip", "x-received": kind(b"1.6 0 8")}, batch, 1)
    assert (over_http.payload.key, over_grpc.payload.key) == ("1.5 20 7", "1.6 0 8")
    assert over_grpc.payload.parts == {"data": b"clip"}


def test_a_bad_setting_ends_the_start(model_dir: Path) -> None:
    with pytest.raises(ValueError, match="max_clip_seconds"):
        SpeakerHandler().initialize(context(model_dir, speaker_id={"max_clip_seconds": -1}))


def test_a_tampered_checkpoint_ends_the_start(model_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(model_dir / "checkpoint", tmp_path / "checkpoint")
    weights = tmp_path / "checkpoint" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        SpeakerHandler().initialize(context(tmp_path))


def test_workers_share_the_threads_that_the_container_was_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker_worker.os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert [fair_share(workers) for workers in (1, 2, 3, 8)] == [4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    assert fair_share(1) == 64


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(speaker_worker.os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert [fair_share(workers) for workers in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]


BODY = st.binary(max_size=100) | st.builds(
    lambda cut, at, bit: bytes(AUDIO[:at] + bytes([AUDIO[at] ^ bit]) + AUDIO[at + 1 : cut]),
    st.integers(1000, len(AUDIO)),
    st.integers(0, 999),
    st.integers(1, 255),
)
VALUE = BODY | st.dictionaries(st.text(max_size=9), st.text(max_size=9)).map(
    lambda it: json.dumps(it).encode()
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["body", "data", "top_k"]), VALUE), min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(["X-Top-K", "url_path"]), st.text(max_size=9)),
)
def test_no_row_makes_the_handler_raise(
    handler: SpeakerHandler, rows: list[dict[str, Any]], headers: dict[str, str]
) -> None:
    bodies, batch = handle(handler, rows, headers)
    for index, body in enumerate(bodies):
        status, _ = batch.get_response_status(index)
        assert (status == 200) == ("error" not in body)


def test_a_probe_is_answered_and_counted_nowhere(
    handler: SpeakerHandler, caplog: pytest.LogCaptureFixture
) -> None:
    bodies, batch = handle(handler, [{"body": b""}], {"X-Probe": "yes"})
    assert (bodies, batch.get_response_status(0)[0]) == ([{}], 200)
    assert not caplog.records


def test_an_input_of_a_grpc_call_is_no_probe(handler: SpeakerHandler) -> None:
    bodies, batch = handle(
        handler, [{"body": b"", "X-Probe": bytearray(b"x")}], {"X-Probe": {"content-type": None}}
    )
    assert batch.get_response_status(0)[0] == 400
    assert bodies[0]["code"] == "invalid_parameter"
