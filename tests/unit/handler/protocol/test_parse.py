"""What each form of body is understood as.

One file, though long: each form is held to the same rules, which stand side by side.
"""

import json
import math
from typing import Any

import numpy as np
import pytest
from speaker_id.clip import EncodedAudio, RawAudio
from speaker_id.errors import AudioTooLong, InvalidParameter, MalformedRequest, RequestTooLarge
from speaker_id.protocol import Options, Payload, Request, parse
from speaker_id.settings import Settings

from tests.unit.handler.protocol.bodies import AUDIO, B64, SETTINGS, refused, request, tensor

# --- audio bytes and multipart


def test_bytes_are_one_clip() -> None:
    assert request(bytearray(AUDIO)) == Request("ranking", (EncodedAudio(AUDIO),), Options())


@pytest.mark.parametrize("name", ["data", "file", "audio"])
def test_a_multipart_part_of_any_usual_name_is_the_clip(name: str) -> None:
    parsed = parse(Payload({name: AUDIO, "top_k": b"3", "function_to_apply": b"none"}), SETTINGS)
    assert parsed == Request("ranking", (EncodedAudio(AUDIO),), Options(3, "none"))


def test_two_audio_parts_are_refused() -> None:
    assert "not 2: body, file" in refused(AUDIO, MalformedRequest, file=AUDIO).message


def test_a_body_without_an_audio_part_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="name it one of data, file, audio"):
        parse(Payload({"top_k": b"3"}), SETTINGS)


def test_an_unknown_part_is_named() -> None:
    assert "unknown part 'topk'; known: top_k" in refused(AUDIO, InvalidParameter, topk=b"3").message


def test_a_part_that_asks_for_windows_is_told_how_they_are_asked_for() -> None:
    told = refused(AUDIO, InvalidParameter, windows=b"3").message
    assert told.startswith("part 'windows' is of no use here")
    assert "X-Windows: 3;hop=1.5" in told


@pytest.mark.parametrize("given", [{"inputs": B64}, {"instances": [{"b64": B64}]}, {"inputs": []}])
def test_a_parameter_that_is_mistyped_is_told_of_windows(given: dict[str, Any]) -> None:
    body = json.dumps({**given, "parameters": {"window": 3}}).encode()
    assert refused(body, InvalidParameter).message.endswith(", windows")


@pytest.mark.parametrize("body", [b"", bytearray()])
def test_an_empty_body_is_malformed(body: Any) -> None:
    refused(body, MalformedRequest)


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n  "])
def test_json_may_stand_behind_a_byte_order_mark(mark: bytes) -> None:
    assert request(mark + json.dumps({"inputs": B64}).encode()).clips == (EncodedAudio(AUDIO),)


def test_audio_behind_one_is_audio_for_its_own_stage_to_refuse() -> None:
    assert request(b"\xef\xbb\xbf" + AUDIO).clips == (EncodedAudio(b"\xef\xbb\xbf" + AUDIO),)


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


def test_a_number_of_four_thousand_digits_is_refused_shortly() -> None:
    error = refused({"inputs": B64, "parameters": {"top_k": -(10**4_000)}}, InvalidParameter)
    assert len(error.message) < 120


def test_a_bad_function_is_named() -> None:
    error = refused({"inputs": B64, "parameters": {"function_to_apply": "Softmax"}}, InvalidParameter)
    assert error.message == "function_to_apply must be one of softmax, sigmoid, none, not 'Softmax'"


def test_null_options_are_not_given() -> None:
    parameters = {"top_k": None, "function_to_apply": None}
    assert request({"inputs": B64, "parameters": parameters}).options == Options()


def test_a_path_option_given_twice_is_refused() -> None:
    assert "twice" in refused(AUDIO, InvalidParameter, path="top_k/1/top_k/2").message


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


@pytest.mark.parametrize(
    "text",
    [
        "+/+/Zg==",
        "-_-_Zg==",
        "-_-_Zg",
        "-_+/Zg",
        "+/+/Zg=",
        "data:audio/wav;base64,+/+/Zg==",
        "DATA:audio/ogg;codecs=opus;BASE64,-_-_Zg",
        "data:;base64,+/+/ Zg==",
    ],
)
def test_base64_of_either_alphabet_padded_or_not_and_as_a_data_url(text: str) -> None:
    assert request({"inputs": text}).clips == (EncodedAudio(b"\xfb\xff\xbff"),)


@pytest.mark.parametrize("url", ["data:audio/wav,QUJD", "data:;base64"])
def test_a_data_url_of_another_encoding_is_refused(url: str) -> None:
    assert "a data URL that is not base64" in refused({"inputs": url}, MalformedRequest).message


def data_url(head: int) -> str:
    """Of so many characters before its comma."""
    return "data:" + "a" * (head - len("data:;base64")) + ";base64,QUJD"


@pytest.mark.parametrize("url", [data_url(257), "data:" + "a" * 300])
def test_what_stands_before_the_comma_of_a_data_url_is_bounded(url: str) -> None:
    said = refused({"inputs": url}, MalformedRequest).message
    assert said.startswith("inputs is a data URL with more than 256 characters before its comma")
    assert request({"inputs": data_url(256)}).clips == (EncodedAudio(b"ABC"),)


@pytest.mark.parametrize("options", [{"wait_for_model": True, "use_cache": False}, {}, None])
def test_hugging_faces_options_are_accepted(options: Any) -> None:
    assert request({"inputs": B64, "options": options}).clips == (EncodedAudio(AUDIO),)


def test_options_that_are_no_object_are_refused() -> None:
    assert "options must be an object" in refused({"inputs": B64, "options": [1]}, MalformedRequest).message


def test_a_key_given_twice_is_refused() -> None:
    body = b'{"inputs": "QUJD", "parameters": {"top_k": 1, "top_k": 2}}'
    assert refused(body, MalformedRequest).message == "the key 'top_k' is given twice"


@pytest.mark.parametrize("value", ["!!!!", "abcde", "QUJD=QUJD", "QUJD=", "ä"])
def test_wrong_base64_is_refused(value: str) -> None:
    assert "not valid base64" in refused({"inputs": value}, MalformedRequest).message


def test_broken_json_names_the_place() -> None:
    assert "at character 11" in refused(b'{"inputs": }', MalformedRequest).message


@pytest.mark.parametrize("depth", [900, 990, 1000, 1050, 1080])
def test_json_nested_as_deep_as_its_lists_allow_is_refused(depth: int) -> None:
    """Past Python's own limit of 1,000 the parser gives up, which is the request's error and no other's."""
    for head, opened, closed in ((b'{"inputs":', b"[", b"]"), (b'{"inputs":', b'{"a":', b"}")):
        body = head + opened * depth + b"1" + closed * depth + b"}"
        with pytest.raises(MalformedRequest):
            parse(Payload({"body": body}), Settings())


def test_json_nested_ten_thousand_deep_is_refused() -> None:
    refused(b'{"inputs":' + b"[" * 100_000, RequestTooLarge)


@pytest.mark.parametrize("body", [[], "hello", b"[1]"])
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


def test_v1_data_is_another_name_of_b64() -> None:
    assert request({"instances": [{"data": B64}]}).clips == (EncodedAudio(AUDIO),)


def test_v1_both_names_at_once_are_refused() -> None:
    refused({"instances": [{"data": B64, "b64": B64}]}, MalformedRequest)


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
    [
        ["1.5"],
        [None],
        [True],
        [[1], [1, 2]],
        [[[1]]],
        {"a": 1},
        "AAAA",
        [[]] * 9,
        [10**400],
        [[1], 2],
        [1, [2]],
        [0.5, {}],
        [1, 2.5, "x" * 9],
        [False, 1],
        [[1, None], [1, 2]],
        [[1, 2], "ab"],
        [1, 10**400, 0.5],
    ],
)
def test_what_is_no_regular_array_of_numbers_is_malformed(array: Any) -> None:
    refused({"instances": [{"array": array, "sampling_rate": 16000}]}, MalformedRequest)
    refused({"inputs": [tensor([1, 4], "FP32", [array], sampling_rate=16000)]}, MalformedRequest)


@pytest.mark.parametrize(
    ("value", "kind"), [("x", "a string"), (True, "a boolean"), (None, "null"), ({}, "an object")]
)
def test_what_is_no_number_is_named(value: Any, kind: str) -> None:
    error = refused({"instances": [{"array": [0, 0.5, value], "sampling_rate": 16000}]}, MalformedRequest)
    assert error.message == f"array must contain only numbers, not {kind}"


def test_not_a_number_passes_for_the_audio_stage_to_place() -> None:
    (clip,) = request(b'{"instances": [{"array": [NaN, 1e39], "sampling_rate": 16000}]}').clips
    assert isinstance(clip, RawAudio)
    assert math.isnan(clip.samples[0])
    assert math.isinf(clip.samples[1])


@pytest.mark.parametrize("rate", [None, 0, -1, "16000", True, 1.5, 2**31, 10**400, math.inf])
def test_a_bad_sampling_rate_is_refused(rate: Any) -> None:
    refused({"instances": [{"array": [0.0], "sampling_rate": rate}]}, InvalidParameter)
