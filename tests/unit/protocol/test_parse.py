"""What each form of body is understood as."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from speaker_id.clip import EncodedAudio, RawAudio
from speaker_id.errors import (
    AudioTooLong,
    InvalidParameter,
    MalformedRequest,
    RequestError,
    RequestTooLarge,
)
from speaker_id.protocol import Options, Payload, Request, parse
from speaker_id.settings import Settings

AUDIO = b"RIFF\x00\x00"
B64 = base64.b64encode(AUDIO).decode()
SETTINGS = Settings(max_request_clips=3)


def request(body: Any, headers: dict[str, str] | None = None, path: str = "", **parts: Any) -> Request:
    return parse(Payload({"body": body, **parts}, headers or {}, path), SETTINGS)


def refused(body: Any, kind: type[RequestError], **more: Any) -> RequestError:
    with pytest.raises(kind) as caught:
        request(body, **more)
    assert type(caught.value) is kind
    return caught.value


# --- audio bytes and multipart


def test_bytes_are_one_clip() -> None:
    assert request(bytearray(AUDIO)) == Request("ranking", (EncodedAudio(AUDIO),), Options())


@pytest.mark.parametrize("name", ["data", "file", "audio"])
def test_a_multipart_part_of_any_usual_name_is_the_clip(name: str) -> None:
    parsed = parse(Payload({name: AUDIO, "top_k": b"3", "function_to_apply": "none"}), SETTINGS)
    assert parsed == Request("ranking", (EncodedAudio(AUDIO),), Options(3, "none"))


def test_two_audio_parts_are_refused() -> None:
    assert "not 2: body, file" in refused(AUDIO, MalformedRequest, file=AUDIO).message


def test_a_body_without_an_audio_part_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="name it one of data, file, audio"):
        parse(Payload({"top_k": b"3"}), SETTINGS)


def test_an_unknown_part_is_named() -> None:
    assert "unknown part 'topk'; known: top_k" in refused(AUDIO, InvalidParameter, topk=b"3").message


@pytest.mark.parametrize("body", [b"", bytearray(), ""])
def test_an_empty_body_is_malformed(body: Any) -> None:
    refused(body, MalformedRequest)


def test_text_that_is_no_json_is_malformed() -> None:
    refused("hello", MalformedRequest)


# --- options, and who wins


def test_a_header_in_any_case_sets_an_option() -> None:
    assert request(AUDIO, {"x-ToP-k": "2", "X-Function-To-Apply": "sigmoid"}).options == Options(2, "sigmoid")


def test_the_path_tail_sets_an_option() -> None:
    assert request(AUDIO, path="/top_k/3/function_to_apply/none/").options == Options(3, "none")


def test_the_body_wins_over_the_path_and_the_path_over_the_header() -> None:
    headers = {"X-Top-K": "1", "X-Function-To-Apply": "none"}
    body = {"inputs": B64, "parameters": {"top_k": 3}}
    parsed = request(body, headers, "top_k/2/function_to_apply/sigmoid")
    assert parsed.options == Options(3, "sigmoid")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3x", "", [1], {"a": 1}, "٣"])
def test_a_bad_top_k_is_named(value: Any) -> None:
    error = refused({"inputs": B64, "parameters": {"top_k": value}}, InvalidParameter)
    assert "top_k must be a whole number of at least 1, not" in error.message


def test_a_number_of_ten_thousand_digits_is_refused_shortly() -> None:
    error = refused({"inputs": B64, "parameters": {"top_k": -(10**10_000)}}, InvalidParameter)
    assert len(error.message) < 120


def test_a_bad_function_is_named() -> None:
    error = refused({"inputs": B64, "parameters": {"function_to_apply": "Softmax"}}, InvalidParameter)
    assert error.message == "function_to_apply must be one of softmax, sigmoid, none, not 'Softmax'"


def test_null_options_are_not_given() -> None:
    parameters = {"top_k": None, "function_to_apply": None}
    assert request({"inputs": B64, "parameters": parameters}).options == Options()


def test_half_a_path_option_is_refused() -> None:
    refused(AUDIO, InvalidParameter, path="top_k")


# --- Hugging Face's inference API


def test_base64_inputs_are_one_clip() -> None:
    parsed = request({"inputs": B64, "parameters": {"top_k": 2}})
    assert parsed == Request("ranking", (EncodedAudio(AUDIO),), Options(2))


def test_json_arriving_as_bytes_is_parsed() -> None:
    body = b" \n" + json.dumps({"inputs": B64}).encode()
    assert request(body).clips == (EncodedAudio(AUDIO),)


def test_line_breaks_inside_base64_are_ignored() -> None:
    assert request({"inputs": B64[:3] + "\r\n " + B64[3:]}).clips == (EncodedAudio(AUDIO),)


@pytest.mark.parametrize("value", ["!!!!", "abc", "QUJD=QUJD", "ä"])
def test_wrong_base64_is_refused(value: str) -> None:
    assert "not valid base64" in refused({"inputs": value}, MalformedRequest).message


def test_broken_json_names_the_place() -> None:
    assert "at character 11" in refused(b'{"inputs": }', MalformedRequest).message


def test_json_nested_ten_thousand_deep_is_refused() -> None:
    refused(b'{"inputs":' + b"[" * 100_000, MalformedRequest)


@pytest.mark.parametrize("body", [[], None, 3, True, b"[1]"])
def test_json_that_is_no_object_is_refused(body: Any) -> None:
    refused(body, MalformedRequest)


def test_an_unknown_key_is_named() -> None:
    assert "unknown key 'input'" in refused({"input": B64}, InvalidParameter).message


# --- KServe v1


def test_v1_instances_become_clips_in_order() -> None:
    parsed = request(
        {"instances": [{"b64": B64}, {"array": [0, 0.5], "sampling_rate": 8000}], "parameters": {"top_k": 1}}
    )
    assert parsed.form == "v1"
    assert parsed.options == Options(1)
    first, second = parsed.clips
    assert first == EncodedAudio(AUDIO)
    assert isinstance(second, RawAudio)
    assert second.sampling_rate == 8000
    np.testing.assert_array_equal(second.samples, np.float32([0, 0.5]))


def test_v1_array_may_have_channels() -> None:
    (clip,) = request({"instances": [{"array": [[0, 1], [1, 0]], "sampling_rate": 8000.0}]}).clips
    assert isinstance(clip, RawAudio)
    assert clip.samples.shape == (2, 2)


def test_v1_without_instances_answers_nothing() -> None:
    assert request({"instances": []}).clips == ()


def test_a_bad_instance_is_numbered() -> None:
    error = refused({"instances": [{"b64": B64}, {"b64": "!"}]}, MalformedRequest)
    assert error.body()["instance"] == 1


def test_too_many_instances_are_refused_before_any_is_looked_at() -> None:
    error = refused({"instances": [None] * 4}, RequestTooLarge)
    assert error.message == "the request has 4 instances; at most 3 are accepted"


def test_an_array_too_long_is_refused_by_its_length() -> None:
    error = refused({"instances": [{"array": [0.0] * 4000 * 121, "sampling_rate": 4000}]}, AudioTooLong)
    assert "121.0 s" in error.message
    assert error.instance == 0


def test_a_huge_sampling_rate_makes_no_array_short() -> None:
    refused({"instances": [{"array": [0] * 192_000 * 121, "sampling_rate": 2**31 - 1}]}, AudioTooLong)


@pytest.mark.parametrize(
    "array",
    [["1.5"], [None], [True], [[1], [1, 2]], [[[1]]], {"a": 1}, "AAAA", [[]] * 9, [10**400], [[1], 2]],
)
def test_what_is_no_regular_array_of_numbers_is_malformed(array: Any) -> None:
    refused({"instances": [{"array": array, "sampling_rate": 16000}]}, MalformedRequest)


def test_not_a_number_passes_for_the_audio_stage_to_place() -> None:
    (clip,) = request(b'{"instances": [{"array": [NaN, 1e39], "sampling_rate": 16000}]}').clips
    assert isinstance(clip, RawAudio)
    assert math.isnan(clip.samples[0])
    assert math.isinf(clip.samples[1])


@pytest.mark.parametrize("rate", [None, 0, -1, "16000", True, 1.5, 2**31, 10**400, math.inf])
def test_a_bad_sampling_rate_is_refused(rate: Any) -> None:
    refused({"instances": [{"array": [0.0], "sampling_rate": rate}]}, InvalidParameter)


# --- Open Inference Protocol v2


def tensor(shape: Any, datatype: str, data: Any, **parameters: Any) -> dict[str, Any]:
    return {"name": "audio", "shape": shape, "datatype": datatype, "data": data, "parameters": parameters}


def test_v2_bytes_are_clips() -> None:
    parsed = request({"id": "r1", "inputs": [tensor([2], "BYTES", [B64, B64])], "parameters": {"top_k": 2}})
    assert parsed == Request("v2", (EncodedAudio(AUDIO),) * 2, Options(2), "r1")


@pytest.mark.parametrize(
    ("shape", "data", "shapes"),
    [
        ([3], [1, 2, 3], [(3,)]),
        ([2, 3], [1, 2, 3, 4, 5, 6], [(3,), (3,)]),
        ([2, 3], [[1, 2, 3], [4, 5, 6]], [(3,), (3,)]),
        ([1, 2, 3], [1, 2, 3, 4, 5, 6], [(2, 3)]),
    ],
)
def test_v2_waveforms_of_every_shape(
    shape: list[int], data: list[Any], shapes: list[tuple[int, ...]]
) -> None:
    clips = request({"inputs": [tensor(shape, "FP32", data, sampling_rate=16000)]}).clips
    assert [clip.samples.shape for clip in clips if isinstance(clip, RawAudio)] == shapes


def test_v2_sampling_rate_may_stand_on_the_request() -> None:
    (clip,) = request({"inputs": [tensor([1], "FP32", [0])], "parameters": {"sampling_rate": 8000}}).clips
    assert isinstance(clip, RawAudio)
    assert clip.sampling_rate == 8000


def test_v2_inputs_of_several_tensors_count_on() -> None:
    body = {"inputs": [tensor([2], "BYTES", [B64, B64]), tensor([1], "BYTES", ["!"])]}
    assert refused(body, MalformedRequest).instance == 2


def test_v2_a_bad_element_is_numbered() -> None:
    assert refused({"inputs": [tensor([2], "BYTES", [B64, 5])]}, MalformedRequest).instance == 1


def test_v2_a_shape_of_a_billion_is_refused_by_its_shape() -> None:
    refused({"inputs": [tensor([1_000_000_000], "FP32", [0], sampling_rate=16000)]}, AudioTooLong)
    refused({"inputs": [tensor([1_000_000_000, 1], "FP32", [0], sampling_rate=16000)]}, RequestTooLarge)
    refused({"inputs": [tensor([1, 1_000_000_000, 1], "FP32", [0], sampling_rate=16000)]}, MalformedRequest)


@pytest.mark.parametrize("shape", [None, "2", [-1], [1.0], [True], [], [1, 1, 1, 1], [10**30]])
def test_v2_a_bad_shape_is_refused(shape: Any) -> None:
    refused({"inputs": [tensor(shape, "FP32", [0], sampling_rate=16000)]}, MalformedRequest)


def test_v2_data_must_match_the_shape() -> None:
    refused({"inputs": [tensor([2], "FP32", [0], sampling_rate=16000)]}, MalformedRequest)
    refused({"inputs": [tensor([2], "BYTES", [B64])]}, MalformedRequest)


def test_v2_needs_a_sampling_rate_for_waveforms() -> None:
    assert "sampling_rate" in refused({"inputs": [tensor([1], "FP32", [0])]}, InvalidParameter).message


def test_v2_other_datatypes_are_refused() -> None:
    error = refused({"inputs": [tensor([1], "INT8", [0])]}, InvalidParameter)
    assert error.message == "datatype must be BYTES or FP32, not 'INT8'"


def test_v2_outputs_may_be_chosen() -> None:
    body = {"inputs": [tensor([1], "BYTES", [B64])], "outputs": [{"name": "score"}]}
    assert request(body).outputs == ("score",)
    refused({**body, "outputs": [{"name": "logits"}]}, InvalidParameter)
    refused({**body, "outputs": "score"}, MalformedRequest)
