"""The same clips in every form at once, and one that is no audio: each answer is that of the clip alone in the core."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload

from bundle import layout, sources
from serving.gateway.envoy import Gateway
from tests.e2e.open_inference import OPEN_INFERENCE, infer_request, infer_response
from tests.e2e.started import CLIPS, ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

NEAR = 2e-5  # of a score, in any company
ALL = 100  # labels: more than there are
NOTES = b"these are notes, and no audio at all"
HEADERS = {"X-Top-K": str(ALL)}

Ranking = dict[str, float]  # of every label
Answer = Ranking | str  # or an error's code


def ranked(entries: list[dict[str, Any]]) -> Ranking:
    return {entry["label"]: entry["score"] for entry in entries}


def post(gateway: Gateway, path: str, read: Callable[[Any], Ranking], **sent: Any) -> Answer:
    headers = HEADERS | sent.pop("headers", {})
    answer = requests.post(f"{gateway.url}{path}", headers=headers, timeout=120, **sent)
    return read(answer) if answer.status_code == 200 else str(answer.json()["code"])


def as_bytes(gateway: Gateway, clip: bytes) -> Answer:
    return post(gateway, "/predictions/demo", lambda answer: ranked(answer.json()), data=clip)


def multipart(gateway: Gateway, clip: bytes) -> Answer:
    return post(gateway, "/predictions/demo", lambda answer: ranked(answer.json()), files={"file": clip})


def hugging_face(gateway: Gateway, clip: bytes) -> Answer:
    body = {"inputs": base64.b64encode(clip).decode()}
    return post(gateway, "/predictions/demo", lambda answer: ranked(answer.json()), json=body)


def v1(gateway: Gateway, clip: bytes) -> Answer:
    body = {"instances": [{"b64": base64.b64encode(clip).decode()}]}
    path = "/v1/models/demo:predict"
    return post(gateway, path, lambda answer: ranked(answer.json()["predictions"][0]), json=body)


def v2(gateway: Gateway, clip: bytes) -> Answer:
    data = [base64.b64encode(clip).decode()]
    body = {"inputs": [{"name": "audio", "datatype": "BYTES", "shape": [1, 1], "data": data}]}

    def read(answer: requests.Response) -> Ranking:
        label, score = (output["data"] for output in answer.json()["outputs"])
        return dict(zip(label, score, strict=True))

    return post(gateway, "/v2/models/demo/infer", read, json=body)


def v2_binary(gateway: Gateway, clip: bytes) -> Answer:
    element = len(clip).to_bytes(4, "little") + clip
    tensor = {"name": "audio", "datatype": "BYTES", "shape": [1, 1]}
    tensor["parameters"] = {"binary_data_size": len(element)}
    described = json.dumps({"inputs": [tensor]}).encode()

    def read(answer: requests.Response) -> Ranking:
        label, score = (output["data"] for output in answer.json()["outputs"])
        return dict(zip(label, score, strict=True))

    headers = {"Inference-Header-Content-Length": str(len(described))}
    return post(gateway, "/v2/models/demo/infer", read, data=described + element, headers=headers)


def over_grpc(gateway: Gateway, clip: bytes) -> Answer:
    address = gateway.url.removeprefix("http://")
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary(f"/{OPEN_INFERENCE}/ModelInfer")
        try:
            return infer_response(call(infer_request("demo", clip, top_k=ALL), timeout=120))
        except grpc.RpcError as failed:
            return str(json.loads(failed.details())["code"])


FORMS = (as_bytes, multipart, hugging_face, v1, v2, v2_binary, over_grpc)


@pytest.fixture(scope="module")
def core(demo_checkpoint: Path) -> Pipeline:
    demo = layout.laid_out(sources.resolve("demo", root=ROOT / "models"), demo_checkpoint)
    settings = demo.speaker_id.model_copy(update={"decoders": 1})
    return Pipeline.load(demo_checkpoint, "cpu", settings, Model(demo.name, demo.version))


def test_every_form_gets_what_the_core_answers_to_the_clip_alone(gateway: Gateway, core: Pipeline) -> None:
    clips = [path.read_bytes() for path in CLIPS[:4]]
    expected: list[Answer] = []
    for clip in clips:
        (outcome,) = core.identify([Payload({"body": clip}, HEADERS)])
        assert outcome.error is None
        expected.append(ranked(outcome.body))
    clips.insert(2, NOTES)
    expected.insert(2, "unsupported_media")
    asked = [(form, number) for number in range(len(clips)) for form in FORMS]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda each: each[0](gateway, clips[each[1]]), asked))
    for (form, number), answer in zip(asked, answers, strict=True):
        known = expected[number]
        if isinstance(known, dict):
            assert isinstance(answer, dict), (form.__name__, number, answer)
            assert list(answer) == list(known), (form.__name__, number)  # best first
            assert list(answer.values()) == pytest.approx(list(known.values()), abs=NEAR), form.__name__
        else:
            assert answer == known, form.__name__
