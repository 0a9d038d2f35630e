"""What each tensor of the Open Inference Protocol is understood as."""

from typing import Any

import pytest
from speaker_id.clip import EncodedAudio, RawAudio
from speaker_id.errors import AudioTooLong, InvalidParameter, MalformedRequest, RequestTooLarge
from speaker_id.protocol import Options, Request

from tests.unit.handler.protocol.bodies import AUDIO, B64, refused, request, tensor


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


@pytest.mark.parametrize("data", [[B64, B64], [[B64], [B64]]])
def test_v2_bytes_may_stand_in_a_column(data: list[Any]) -> None:
    assert request({"inputs": [tensor([2, 1], "BYTES", data)]}).clips == (EncodedAudio(AUDIO),) * 2


@pytest.mark.parametrize("shape", [[1, 2], [2, 2], [2, 0], [2, 1, 1]])
def test_v2_bytes_of_any_other_shape_are_refused(shape: list[int]) -> None:
    error = refused({"inputs": [tensor(shape, "BYTES", [B64, B64])]}, MalformedRequest)
    assert error.message == f"a BYTES input must have the shape [clips] or [clips, 1], not {shape}"


def test_v2_rows_of_one_element_need_the_shape_that_says_so() -> None:
    refused({"inputs": [tensor([1], "BYTES", [[B64]])]}, MalformedRequest)
    refused({"inputs": [tensor([1], "BYTES", [[]])]}, MalformedRequest)
    refused({"inputs": [tensor([1, 1], "BYTES", [[B64, B64]])]}, MalformedRequest)


def test_v2_the_names_that_kserves_sdk_sends_are_accepted() -> None:
    names = {"model_name": "demo", "model_version": None}
    assert len(request(names | {"inputs": [tensor([1], "BYTES", [B64])]}).clips) == 1


def test_v2_an_id_is_bounded() -> None:
    body = {"inputs": [tensor([1], "BYTES", [B64])]}
    assert request(body | {"id": "x" * 256}).id == "x" * 256
    assert "257 characters; at most 256" in refused(body | {"id": "x" * 257}, InvalidParameter).message


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
    twice = refused(
        {**body, "outputs": [{"name": "score"}, {"name": "label"}, {"name": "score"}]}, InvalidParameter
    )
    assert twice.message == "output score is requested twice; name it once"
    refused({**body, "outputs": "score"}, MalformedRequest)
