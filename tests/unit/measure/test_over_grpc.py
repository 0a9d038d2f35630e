"""A clip as each model server's gRPC takes it, and their answers as JSON."""

from __future__ import annotations

import json
import struct

import grpc
import pytest

from measure import over_grpc
from measure.answer import Label, best, parsed
from serving import model_servers


def test_every_model_server_has_a_way_to_ask_it() -> None:
    assert set(over_grpc.APIS) == set(model_servers.NAMES)


def test_open_inference_has_the_file_as_the_one_element_of_a_tensor() -> None:
    api = over_grpc.APIS["triton"]
    messages = over_grpc._open_inference()
    sent = messages.ModelInferRequest.FromString(api.request("demo", "2", b"RIFF"))
    assert (sent.model_name, sent.model_version) == ("demo", "2")
    assert [(it.name, it.datatype, list(it.shape)) for it in sent.inputs] == [("audio", "BYTES", [1, 1])]
    assert list(sent.raw_input_contents) == [b"\4\0\0\0RIFF"]
    answer = messages.ModelInferResponse(
        outputs=[{"name": "score", "datatype": "FP32"}, {"name": "label", "datatype": "BYTES"}],
        raw_output_contents=[struct.pack("<2f", 0.75, 0.25), b"\4\0\0\0anna\5\0\0\0bernd"],
    )
    ranking = api.answer(answer.SerializeToString())
    assert json.loads(ranking) == [{"label": "anna", "score": 0.75}, {"label": "bernd", "score": 0.25}]
    assert best(parsed(ranking)) == Label("anna", 0.75)


def test_torchserves_answer_is_the_handlers() -> None:
    pytest.importorskip("ts")
    api = over_grpc.APIS["torchserve"]
    messages = over_grpc._torchserve()
    sent = messages.PredictionsRequest.FromString(api.request("demo", "", b"RIFF"))
    assert (sent.model_name, dict(sent.input)) == ("demo", {"data": b"RIFF"})
    assert api.answer(messages.PredictionResponse(prediction=b"[]").SerializeToString()) == b"[]"


def test_a_channel_asks_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr(grpc, "insecure_channel", lambda _, options: seen.update(options))
    over_grpc.channel("127.0.0.1:1")
    assert seen["grpc.enable_http_proxy"] == 0
