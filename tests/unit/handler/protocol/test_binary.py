"""Binary tensors of the Open Inference Protocol: what follows the JSON, and every way in which it does not add up."""

from __future__ import annotations

import contextlib
import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speaker_id.clip import EncodedAudio, RawAudio
from speaker_id.errors import (
    AudioTooLong,
    InvalidParameter,
    MalformedRequest,
    RequestError,
    RequestTooLarge,
)
from speaker_id.protocol import Options, Output, Payload, Request, parse

from tests.unit.handler.protocol.bodies import (
    AUDIO,
    B64,
    SETTINGS,
    binary_tensor,
    element,
    refused,
    request,
    tensor,
    with_tail,
)

ONE = element(AUDIO)
SAMPLES = np.array([[0.5, -0.25, 1.0], [0.0, 0.125, -1.0]], "<f4")


def asked(document: Any, tail: bytes, **more: Any) -> Request:
    body, headers = with_tail(document, tail)
    return request(body, headers, **more)


def rejected(
    document: Any,
    tail: bytes,
    kind: type[RequestError] = MalformedRequest,
    header: object = None,
) -> RequestError:
    body, headers = with_tail(document, tail, header)
    return refused(body, kind, headers=headers)


def test_elements_of_bytes_are_clips_as_they_are() -> None:
    parsed = asked(
        {"id": "r1", "inputs": [binary_tensor([2], "BYTES", ONE * 2)], "parameters": {"top_k": 2}}, ONE * 2
    )
    assert parsed == Request("v2", (EncodedAudio(AUDIO),) * 2, Options(2), "r1")


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_bytes_may_stand_in_a_column(shape: list[int]) -> None:
    assert len(asked({"inputs": [binary_tensor(shape, "BYTES", ONE * 2)]}, ONE * 2).clips) == 2


@pytest.mark.parametrize(("shape", "shapes"), [([6], [(6,)]), ([2, 3], [(3,), (3,)]), ([1, 2, 3], [(2, 3)])])
def test_waveforms_of_every_shape(shape: list[int], shapes: list[tuple[int, ...]]) -> None:
    tail = SAMPLES.tobytes()
    clips = asked({"inputs": [binary_tensor(shape, "FP32", tail, sampling_rate=16000)]}, tail).clips
    arrays = [clip.samples for clip in clips if isinstance(clip, RawAudio)]
    assert [array.shape for array in arrays] == shapes
    assert np.concatenate([array.ravel() for array in arrays]).tolist() == SAMPLES.ravel().tolist()


def test_neither_waveforms_nor_bytes_are_copied() -> None:
    tail = SAMPLES.tobytes() + ONE
    inputs = [
        binary_tensor([6], "FP32", tail[:24], name="waveform", sampling_rate=16000),
        binary_tensor([1], "BYTES", ONE),
    ]
    body, headers = with_tail({"inputs": inputs}, tail)
    received = bytearray(body)
    waveform, audio = parse(Payload({"body": received}, headers), SETTINGS).clips
    received[-30:] = bytes(30)
    assert isinstance(waveform, RawAudio)
    assert isinstance(audio, EncodedAudio)
    assert not waveform.samples[-1]
    assert bytes(audio.data) == bytes(len(AUDIO))


def test_binary_and_json_tensors_mix_in_order() -> None:
    inputs = [
        binary_tensor([1], "BYTES", ONE, name="a"),
        tensor([1], "BYTES", [B64], name="b"),
        binary_tensor([1], "BYTES", element(b"RIFF\1"), name="c"),
    ]
    clips = asked({"inputs": inputs}, ONE + element(b"RIFF\1")).clips
    assert clips == (EncodedAudio(AUDIO), EncodedAudio(AUDIO), EncodedAudio(b"RIFF\1"))


def test_the_length_is_that_of_the_json_after_decompression() -> None:
    body, headers = with_tail({"inputs": [binary_tensor([1], "BYTES", ONE)]}, ONE)
    parsed = request(gzip.compress(body), headers | {"Content-Encoding": "gzip"})
    assert parsed.clips == (EncodedAudio(AUDIO),)


def test_a_request_without_binary_tensors_may_have_the_header() -> None:
    assert asked({"inputs": [tensor([1], "BYTES", [B64])]}, b"").clips == (EncodedAudio(AUDIO),)


def test_a_length_of_zero_makes_the_body_one_clip_with_a_binary_answer() -> None:
    parsed = request(AUDIO, {"inference-header-content-length": "0", "X-Top-K": "2"})
    outputs = (Output("label", binary=True), Output("score", binary=True))
    assert parsed == Request("v2", (EncodedAudio(AUDIO),), Options(2), None, outputs)


@pytest.mark.parametrize("header", ["", "x", "-1", "1.5", "12,12", "0x10", "9" * 11, "٣", "1 2"])
def test_a_header_that_is_no_length_is_refused(header: str) -> None:
    error = rejected({"inputs": [binary_tensor([1], "BYTES", ONE)]}, ONE, header=header)
    assert error.message == (
        f"Inference-Header-Content-Length must be the length of the JSON in bytes, not {header!r}"
    )


def test_a_header_longer_than_the_body_is_refused() -> None:
    error = rejected({"inputs": []}, b"", header=500)
    assert error.message == "Inference-Header-Content-Length is 500, but the body has only 14 bytes"


@pytest.mark.parametrize("header", [1, 20, 60])
def test_a_header_that_cuts_the_json_is_refused(header: int) -> None:
    rejected({"inputs": [binary_tensor([1], "BYTES", ONE)]}, ONE, header=header)


def test_a_header_that_counts_tensors_as_json_is_refused() -> None:
    document = {"inputs": [binary_tensor([1], "BYTES", ONE)]}
    rejected(document, ONE, header=len(json.dumps(document)) + len(ONE))


@pytest.mark.parametrize("document", [{"instances": [{"b64": B64}]}, {"inputs": B64}, {"inputs": 1}])
def test_other_forms_have_no_binary_tensors(document: dict[str, Any]) -> None:
    error = rejected(document, b"")
    assert (
        error.message == "Inference-Header-Content-Length is given, but the JSON has no list of input tensors"
    )


def test_audio_is_no_json() -> None:
    error = refused(AUDIO, MalformedRequest, headers={"Inference-Header-Content-Length": "4"})
    assert error.message == "Inference-Header-Content-Length is given, but the body does not begin with JSON"


def test_a_binary_tensor_needs_the_header() -> None:
    error = refused({"inputs": [binary_tensor([1], "BYTES", ONE)]}, MalformedRequest)
    assert error.message == (
        "input 'audio' has binary_data_size, which needs the header Inference-Header-Content-Length: the length of the "
        "JSON in bytes"
    )


@pytest.mark.parametrize("audio", [AUDIO, b"\xff\xfe\xfd"])
def test_bytes_after_json_without_the_header_are_told_of_it(audio: bytes) -> None:
    tail = element(audio)
    body, _ = with_tail({"inputs": [binary_tensor([1], "BYTES", tail)]}, tail)
    error = refused(body, MalformedRequest)
    assert error.message.startswith("the body is not valid JSON: ")
    assert error.message.endswith(
        "; binary tensors need the header Inference-Header-Content-Length, the length of the JSON in bytes"
    )


def test_a_tensor_has_its_data_in_one_place() -> None:
    one = binary_tensor([1], "BYTES", ONE) | {"data": [B64]}
    error = rejected({"inputs": [one]}, ONE)
    assert error.message == "input 'audio' has both data and binary_data_size: send one"


def test_a_tensor_without_data_is_refused() -> None:
    one = {"name": "audio", "shape": [1], "datatype": "BYTES"}
    assert rejected({"inputs": [one]}, ONE).message == "data must be a list, not null"


@pytest.mark.parametrize("size", [-1, 1.5, 10.0, True, "10", [10], 10**50])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    error = rejected({"inputs": [binary_tensor([1], "BYTES", ONE, binary_data_size=size)]}, ONE)
    assert error.message.startswith("binary_data_size of input 'audio' ")


def test_a_size_past_the_end_is_refused() -> None:
    inputs = [
        binary_tensor([1], "BYTES", ONE, name="a"),
        binary_tensor([1], "BYTES", ONE, name="b", binary_data_size=99),
    ]
    error = rejected({"inputs": inputs}, ONE * 2)
    assert error.message == (
        "binary_data_size of input 'b' is 99, but only 10 bytes are left of the 20 after the JSON"
    )
    assert error.instance == 1


def test_bytes_that_no_tensor_declares_are_refused() -> None:
    error = rejected({"inputs": [binary_tensor([1], "BYTES", ONE)]}, ONE + b"more")
    assert error.message == "14 bytes follow the JSON, but its inputs declare 10 in binary_data_size"
    rejected({"inputs": []}, b"x")


@pytest.mark.parametrize("length", [7, 2**31, 2**32 - 1])
def test_an_element_past_the_end_is_refused(length: int) -> None:
    tail = ONE + element(AUDIO, length)
    error = rejected({"inputs": [binary_tensor([2], "BYTES", tail)]}, tail)
    assert error.message == (
        f"element 1 of input 'audio' declares {length} bytes, but only 6 follow in its tensor"
    )
    assert error.instance == 1


def test_an_element_does_not_reach_into_the_next_tensor() -> None:
    inputs = [
        binary_tensor([1], "BYTES", element(AUDIO, 10), name="a"),
        binary_tensor([1], "BYTES", ONE, name="b"),
    ]
    rejected({"inputs": inputs}, element(AUDIO, 10) + ONE)


@pytest.mark.parametrize("tail", [ONE, ONE + b"\0\0\0"])
def test_fewer_elements_than_the_shape_declares_are_refused(tail: bytes) -> None:
    error = rejected({"inputs": [binary_tensor([2], "BYTES", tail)]}, tail)
    assert error.message == (
        f"input 'audio' has {len(tail)} bytes, which end before its element 1: its shape declares 2"
    )


def test_more_elements_than_the_shape_declares_are_refused() -> None:
    error = rejected({"inputs": [binary_tensor([1], "BYTES", ONE * 2)]}, ONE * 2)
    assert error.message == "the 1 elements of input 'audio' take 10 bytes, but its binary_data_size is 20"


def test_an_element_of_no_bytes_is_no_audio() -> None:
    tail = ONE + element(b"")
    error = rejected({"inputs": [binary_tensor([2], "BYTES", tail)]}, tail)
    assert (error.message, error.instance) == ("input 'audio' contains no audio: 0 bytes", 1)


@pytest.mark.parametrize("size", [0, 4, 11, 13, 16])
def test_waveforms_are_as_long_as_their_shape(size: int) -> None:
    error = rejected({"inputs": [binary_tensor([3], "FP32", bytes(size), sampling_rate=8000)]}, bytes(size))
    assert error.message == (
        f"binary_data_size of input 'audio' is {size}, but an FP32 tensor of shape [3] has 12 bytes"
    )


def test_a_shape_of_a_billion_is_refused_by_its_shape() -> None:
    rate = {"sampling_rate": 16000}
    for shape, kind in (
        ([10**9], AudioTooLong),
        ([10**9, 1], RequestTooLarge),
        ([1, 10**9, 1], MalformedRequest),
    ):
        rejected({"inputs": [binary_tensor(shape, "FP32", bytes(4), **rate)]}, bytes(4), kind)
    rejected({"inputs": [binary_tensor([10**9], "BYTES", ONE)]}, ONE, RequestTooLarge)


def test_waveforms_need_a_sampling_rate() -> None:
    rejected({"inputs": [binary_tensor([1], "FP32", bytes(4))]}, bytes(4), InvalidParameter)


SIZES = st.none() | st.integers(-2, 40) | st.sampled_from([2**31, 2**63, 10**30, 4.0, "4", True])
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c", ""]),
        "shape": st.lists(st.integers(0, 4), max_size=3),
        "datatype": st.sampled_from(["BYTES", "FP32"]),
        "parameters": st.fixed_dictionaries({"binary_data_size": SIZES, "sampling_rate": st.just(8000)}),
    },
    optional={"data": st.lists(st.just(B64) | st.floats(), max_size=2)},
)


@settings(max_examples=400, deadline=None)
@given(st.lists(TENSORS, max_size=3), st.binary(max_size=60))
def test_what_is_understood_takes_every_byte(inputs: list[Any], tail: bytes) -> None:
    body, headers = with_tail({"inputs": inputs}, tail)
    with contextlib.suppress(RequestError):
        clips = parse(Payload({"body": body}, headers), SETTINGS).clips
        assert sum(each["parameters"]["binary_data_size"] or 0 for each in inputs) == len(tail)
        assert len(clips) <= SETTINGS.max_request_clips
