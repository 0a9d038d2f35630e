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
    body = {"inputs": [tensor([2], "BYTES", [B64, B64]), tensor([1], "BYTES", ["!"], name="more")]}
    assert refused(body, MalformedRequest).instance == 2


def test_v2_inputs_have_names_of_their_own() -> None:
    one = tensor([1], "BYTES", [B64])
    error = refused({"inputs": [one, one]}, MalformedRequest)
    assert error.message == "two inputs have the name 'audio'; give each its own"
    for name, said in ((None, "null"), (True, "true"), ("", "''"), (7, "7"), ("x" * 257, f"'{'x' * 40}'")):
        error = refused({"inputs": [one | {"name": name}]}, MalformedRequest)
        assert error.message == f"an input must have a name of 1 to 256 characters, not {said}"


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


def parameters(**given: Any) -> dict[str, Any]:
    return {"inputs": [tensor([1], "BYTES", [B64])], "parameters": given}


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(2_500_000, 2.5), (1, 1e-6), (0, None), (None, None), (2**64 - 1, 2**64 / 1e6)]
)
def test_v2_a_timeout_is_in_microseconds(timeout: int | None, seconds: float | None) -> None:
    assert request(parameters(timeout=timeout)).timeout == seconds


def test_v2_priority_and_sequences_change_nothing() -> None:
    plain = request(parameters())
    for more in (
        {"priority": 3},
        {"sequence_id": 42, "sequence_start": True, "sequence_end": False},
        {"sequence_id": "e333c95a", "sequence_end": True},
        {"sequence_id": 0, "sequence_start": False},
        {"sequence_id": "", "priority": 0},
    ):
        assert request(parameters(**more)) == plain


@pytest.mark.parametrize("name", ["priority", "timeout", "sequence_id"])
@pytest.mark.parametrize("value", [-1, 2**64, 1.5, True, [], {}])
def test_v2_what_is_no_whole_number_is_refused(name: str, value: Any) -> None:
    error = refused(parameters(**{name: value}), InvalidParameter)
    assert error.message.startswith(f"{name} must be a whole number")
    assert "from 0 to 2^64 - 1, not " in error.message


@pytest.mark.parametrize("name", ["sequence_start", "sequence_end"])
def test_v2_a_sequence_has_an_id(name: str) -> None:
    for sequence in ({}, {"sequence_id": 0}, {"sequence_id": ""}):
        error = refused(parameters(**{name: True}, **sequence), InvalidParameter)
        assert error.message == f"{name} needs a sequence_id other than 0 and the empty text"
    assert f"{name} must be true or false" in refused(parameters(**{name: 1}), InvalidParameter).message


def test_v2_a_sequences_id_is_bounded() -> None:
    error = refused(parameters(sequence_id="x" * 257), InvalidParameter)
    assert error.message == "sequence_id has 257 characters; at most 256 are accepted"


@pytest.mark.parametrize("key", ["model_name", "model_version"])
def test_v2_names_of_models_are_texts(key: str) -> None:
    error = refused({**parameters(), key: 7}, MalformedRequest)
    assert error.message == f"{key} must be a string, not a number"
