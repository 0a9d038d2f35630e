"""Requests of many clips are answered in groups, byte for byte as one worker answers them whole.

One file, though long: every form and every error is held to the same comparison.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import Any

import pytest
from aiohttp import web

from tests.unit.handler.pipelines import LoudnessEncoder, pipeline, wav
from tests.unit.handler.protocol.bodies import binary_tensor, element, with_tail
from tests.unit.serving.recordings.inner import Asked, answered, run

LEVELS = [0.5, -0.25, 0.125, 0.75, -0.5, 0.25]
CLIPS = [wav(level) for level in LEVELS]  # of 0.5 s
SETTINGS = {"max_batch_audio_seconds": 4.4}  # groups of 1.1 s: two clips and their headers


def instances(clips: list[bytes], **parameters: Any) -> bytes:
    given = [{"b64": base64.b64encode(clip).decode()} for clip in clips]
    return json.dumps({"instances": given, "parameters": parameters}).encode()


def binary(clips: list[bytes], **more: Any) -> tuple[bytes, dict[str, str]]:
    tail = b"".join(map(element, clips))
    return with_tail({"inputs": [binary_tensor([len(clips)], "BYTES", tail)], **more}, tail)


def both(
    body: bytes, headers: dict[str, str] | None = None, **settings: Any
) -> tuple[Any, web.Response, Asked]:
    """What the splitter answers, what a worker answers to the whole, and what was asked."""
    made = pipeline(**{**SETTINGS, **settings})
    found = []

    async def use(asked: Asked) -> Any:
        found.append(asked)
        return await asked.post(body, headers)

    reply = run(use, made)
    return reply, answered(made, headers or {}, body), found[0]


V2 = {"inputs": [{"name": "a", "shape": [2, 1, 8000], "datatype": "FP32", "data": [0.5] * 16_000,
                  "parameters": {"sampling_rate": 16_000}},
                 {"name": "b", "shape": [8000], "datatype": "FP32", "data": [-0.25] * 8000,
                  "parameters": {"sampling_rate": 16_000}}], "id": "é"}  # fmt: skip
BOTH_BINARY = [{"name": "label", "parameters": {"binary_data": True}},
               {"name": "score", "parameters": {"binary_data": True}}]  # fmt: skip
CLASSES = [{"name": "score", "parameters": {"classification": 2}}, {"name": "label"}]
FORMS: dict[str, tuple[bytes, dict[str, str]]] = {
    "v1": (instances(CLIPS), {}),
    "v1, options in the body": (instances(CLIPS, top_k=1, function_to_apply="none"), {}),
    "v1, an option in a header": (instances(CLIPS), {"X-Top-K": "1"}),
    "v1, an embedding": (instances(CLIPS, output="embedding"), {}),
    "v1, compressed": (gzip.compress(instances(CLIPS)), {"content-encoding": "gzip"}),
    "v2": (json.dumps(V2).encode(), {}),
    "v2, binary": binary(CLIPS, outputs=BOTH_BINARY, id="r1"),
    "v2, classes": binary(CLIPS, outputs=CLASSES),
    "v2, one output binary": binary(CLIPS, outputs=[BOTH_BINARY[1], {"name": "label"}]),
    "v2, an embedding": binary(CLIPS, outputs=[{"name": "embedding"}, *BOTH_BINARY]),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_answer_is_what_one_worker_answers(form: str) -> None:
    body, headers = FORMS[form]
    reply, whole, asked = both(body, headers)
    assert reply.status == whole.status == 200
    assert reply.body == whole.body
    assert len(asked.seen) == (2 if form == "v2" else 3)
    name = "inference-header-content-length"
    assert reply.headers.get(name) == whole.headers.get(name)


@pytest.mark.parametrize("asked", [{}, {"heads": ["fall"]}, {"heads": "all", "top_k": 1}])
def test_so_is_that_of_a_model_of_several_heads(asked: dict[str, Any]) -> None:
    for settings in ({}, {"default_head": "rise"}):
        reply, whole, _ = both(instances(CLIPS, **asked), heads={"rise": 1, "fall": 1}, **settings)
        assert reply.status == 200
        assert reply.body == whole.body


def test_headers_are_those_of_the_whole() -> None:
    reply, whole, _ = both(instances(CLIPS), {"x-request-id": "mine"})
    assert reply.headers["x-audio-seconds"] == whole.headers["x-audio-seconds"] == "3.000"
    assert reply.headers["server-timing"] == "queue;dur=3.0, decode;dur=6.0"
    assert reply.headers["x-model-version"] == "1.0"


def test_groups_have_ids_of_their_own_and_the_version_that_answered_first() -> None:
    _, _, asked = both(instances(CLIPS), {"x-request-id": "mine", "traceparent": "00-1"})
    assert {headers["x-request-id"] for _, headers in asked.seen} == {"mine.1", "mine.2", "mine.3"}
    assert {headers["traceparent"] for _, headers in asked.seen} == {"00-1"}


@pytest.mark.parametrize("bad", [1, 4])
def test_an_error_names_its_clip_in_the_whole(bad: int) -> None:
    reply, whole, _ = both(instances([*CLIPS[:bad], b"no audio", *CLIPS[bad:]]))
    assert (reply.status, reply.body) == (whole.status, whole.body)
    assert json.loads(reply.body)["instance"] == bad
    assert float(reply.headers["x-audio-seconds"]) >= bad * 0.5


@pytest.mark.parametrize(
    "body", [{"instances": []}, {"inputs": []}, {"instances": [], "parameters": {"top_k": 1}}], ids=str
)
def test_a_request_of_no_clips_is_answered_as_unsplit(body: dict[str, Any]) -> None:
    reply, whole, _ = both(json.dumps(body).encode())
    assert (reply.status, reply.body) == (whole.status, whole.body)
    assert reply.status == 200


@pytest.mark.parametrize("samples", [[], [[]], [[], []]], ids=str)
def test_so_is_one_of_a_clip_without_samples(samples: list[Any]) -> None:
    body = json.loads(instances(CLIPS))
    body["instances"].append({"array": samples, "sampling_rate": 16_000})
    reply, whole, _ = both(json.dumps(body).encode())
    assert (reply.status, reply.body) == (whole.status, whole.body)
    assert (reply.status, json.loads(reply.body)["instance"]) == (422, len(CLIPS))


def test_a_wav_file_that_says_it_is_shorter_than_it_is_makes_no_larger_group() -> None:
    rate = slice(28, 32)  # bytes a second
    lying = [clip[: rate.start] + b"\xff" * 4 + clip[rate.stop :] for clip in CLIPS]
    reply, whole, asked = both(instances(lying))
    assert (reply.status, reply.body) == (200, whole.body)
    assert len(asked.seen) == 3


def test_of_two_bad_clips_the_first_is_named() -> None:
    reply, _, _ = both(instances([*CLIPS[:3], b"no audio", b"none either", *CLIPS]))
    assert json.loads(reply.body)["instance"] == 3


def test_limits_hold_for_the_whole() -> None:
    reply, whole, _ = both(instances(CLIPS), max_request_seconds=2.2)
    assert reply.status == whole.status == 413
    assert json.loads(reply.body)["error"] == json.loads(whole.body)["error"]  # type: ignore[arg-type]
    many, refused, asked = both(instances(CLIPS), max_request_clips=5)
    assert many.body == refused.body
    assert len(asked.seen) == 1  # as it is


@pytest.mark.parametrize(
    "body",
    [
        *(CLIPS[0], b"", instances(CLIPS[:1]), instances(CLIPS[:2])),
        *(b'{"instances": 3}', b'["', instances([b"x"] * 2, top_k=0)),
    ],
    ids=["audio", "nothing", "one clip", "one group", "no list", "no JSON", "a wrong option"],
)
def test_everything_else_is_passed_on_as_it_is(body: bytes) -> None:
    reply, whole, asked = both(
        body, {"content-type": "text/plain", "x-request-id": "mine", "x-query": "top_k=1"}
    )
    assert reply.status == whole.status
    ((path, headers),) = asked.seen
    assert path == "/predictions/m?top_k=1"
    assert headers["x-request-id"] == "mine"
    assert headers["content-length"] == str(len(body))
    assert asked.splitter.counts.passed == 1


def test_no_more_groups_are_in_flight_than_workers_and_one() -> None:
    made, most = pipeline(**SETTINGS), [0, 0]

    async def inner(request: web.Request, body: bytes) -> web.Response:
        most[0] += 1
        most[1] = max(most)
        await asyncio.sleep(0.01)
        most[0] -= 1
        return answered(made, dict(request.headers), body)

    async def use(asked: Asked) -> None:
        await asyncio.gather(*(asked.post(instances(CLIPS * 3)) for _ in range(3)))

    run(use, made, inner)
    assert most[1] == 3


def test_a_caller_that_hangs_up_ends_what_is_sent_and_nothing_more_is() -> None:
    made, ended = pipeline(**SETTINGS), []

    async def inner(request: web.Request, body: bytes) -> web.Response:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(request.headers["x-request-id"])
        raise AssertionError

    async def use(asked: Asked) -> int:
        task = asyncio.create_task(asked.post(instances(CLIPS * 2), {"x-request-id": "a"}))
        while len(asked.seen) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        while len(ended) < 3:
            await asyncio.sleep(0.01)
        assert asked.splitter.counts.in_flight == 0
        return len(asked.seen)

    assert run(use, made, inner) == 3
    assert sorted(ended) == ["a.1", "a.2", "a.3"]


def test_the_groups_of_a_request_are_all_answered_by_one_version() -> None:
    made, versions = pipeline(**SETTINGS), iter(["1.0", "2.0", "2.0"])

    async def inner(request: web.Request, body: bytes) -> web.Response:
        found = answered(made, dict(request.headers), body)
        found.headers["x-model-version"] = (
            request.path.split("/")[3] if request.path.count("/") > 2 else next(versions)
        )
        return found

    async def use(asked: Asked) -> Any:
        return await asked.post(instances(CLIPS)), [path for path, _ in asked.seen]

    reply, paths = run(use, made, inner)
    assert reply.headers["x-model-version"] == "1.0"
    assert sorted(paths) == ["/predictions/m"] * 3 + ["/predictions/m/1.0"] * 2


@pytest.mark.parametrize(("kept", "status"), [("2.0", 200), ("", 503)])
def test_a_version_that_goes_meanwhile_leaves_the_request_to_the_one_in_its_place(
    kept: str, status: int
) -> None:
    made, gone = pipeline(**SETTINGS), set[str]()

    async def inner(request: web.Request, body: bytes) -> web.Response:
        version = "2.0" if gone else "1.0"
        if "/" in (named := request.path.removeprefix("/predictions/m")):
            version = named.removeprefix("/")
            if version != kept:
                gone.add(version)
                return web.json_response({"error": "no such model", "code": "model_not_found"}, status=404)
        found = answered(made, dict(request.headers), body)
        found.headers["x-model-version"] = version
        return found

    async def use(asked: Asked) -> Any:
        return await asked.post(instances(CLIPS * 2))

    reply = run(use, made, inner)
    assert reply.status == status
    if status == 200:
        assert reply.headers["x-model-version"] == "2.0"
    else:
        assert json.loads(reply.body)["code"] == "unavailable"
        assert reply.headers["retry-after"] == "1"


@pytest.mark.parametrize(("full_from", "status"), [(1, 429), (3, 200)])
def test_a_full_queue_refuses_a_request_of_which_nothing_is_answered(full_from: int, status: int) -> None:
    made, number = pipeline(**SETTINGS), [0]

    async def inner(request: web.Request, body: bytes) -> web.Response:
        number[0] += 1
        if number[0] in (full_from, full_from + 1):
            return web.json_response(
                {"error": "full", "code": "overloaded"}, status=429, headers={"retry-after": "1"}
            )
        return answered(made, dict(request.headers), body)

    async def use(asked: Asked) -> Any:
        return await asked.post(instances(CLIPS))

    assert run(use, made, inner, workers=1).status == status


def test_a_caller_that_waits_no_longer_gets_no_more_groups_computed() -> None:
    encoder = LoudnessEncoder()
    made = pipeline(encoder, **SETTINGS)

    async def use(asked: Asked) -> Any:
        gone = {"x-received": "1000000000.000 5", "x-answer-within": "120"}
        return await asked.post(instances(CLIPS), gone)

    reply = run(use, made)
    assert reply.headers["content-type"] == "application/json"
    assert (reply.status, json.loads(reply.body)["code"]) == (504, "deadline_exceeded")
    assert encoder.micro_batches == []


def test_an_answer_that_is_none_is_a_fault_of_the_server_in_the_shape_of_every_error() -> None:
    async def inner(request: web.Request, body: bytes) -> web.Response:
        return web.Response(text="what is this?", headers={"x-model-version": "1.0"})

    async def use(asked: Asked) -> Any:
        return await asked.post(instances(CLIPS))

    reply = run(use, pipeline(**SETTINGS), inner)
    assert (reply.status, json.loads(reply.body)["code"]) == (500, "internal_error")


def test_an_inner_listener_that_is_away_is_said_to_be_unavailable() -> None:
    async def inner(request: web.Request, body: bytes) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        raise AssertionError

    async def use(asked: Asked) -> Any:
        return [await asked.post(body) for body in (instances(CLIPS), b"audio")]

    for reply in run(use, pipeline(**SETTINGS), inner):
        assert (reply.status, json.loads(reply.body)["code"]) == (503, "unavailable")
