"""Which outputs a request of the Open Inference Protocol asks for, and in which form."""

from __future__ import annotations

from typing import Any

import pytest
from speaker_id.errors import InvalidParameter, MalformedRequest
from speaker_id.protocol import Output

from tests.unit.handler.protocol.bodies import B64, refused, request, tensor


def test_v2_outputs_may_be_chosen() -> None:
    body = {"inputs": [tensor([1], "BYTES", [B64])], "outputs": [{"name": "score"}]}
    assert request(body).outputs == (Output("score"),)
    refused({**body, "outputs": [{"name": "logits"}]}, InvalidParameter)
    twice = refused(
        {**body, "outputs": [{"name": "score"}, {"name": "label"}, {"name": "score"}]}, InvalidParameter
    )
    assert twice.message == "output score is requested twice; name it once"
    refused({**body, "outputs": "score"}, MalformedRequest)
    refused({**body, "outputs": [{"name": "score", "datatype": "FP64"}]}, InvalidParameter)
    refused({**body, "outputs": [{"name": "score", "parameters": {"sort": 1}}]}, InvalidParameter)


def test_v2_classes_may_be_asked_for() -> None:
    body = {"inputs": [tensor([1], "BYTES", [B64])]}
    wanted = [{"name": "score", "parameters": {"classification": 3}}, {"name": "label"}]
    assert request({**body, "outputs": wanted}).outputs == (Output("score", classes=3), Output("label"))
    for count in (0, -1, 1.5, "x", True):
        wanted = [{"name": "score", "parameters": {"classification": count}}]
        error = refused({**body, "outputs": wanted}, InvalidParameter)
        assert error.message.startswith("classification must be a whole number of at least 1, not ")
    wanted = [{"name": "label", "parameters": {"classification": 3}}]
    error = refused({**body, "outputs": wanted}, InvalidParameter)
    assert error.message == "classification is of scores: output label has none"


@pytest.mark.parametrize("value", [True, False, None])
def test_outputs_may_be_asked_for_as_bytes(value: bool | None) -> None:
    one = {"inputs": [tensor([1], "BYTES", [B64])]}
    outputs = (Output("label", bool(value)), Output("score", bool(value)))
    assert request(one | {"parameters": {"binary_data_output": value}}).outputs == outputs
    named = [{"name": name, "parameters": {"binary_data": value}} for name in ("label", "score")]
    assert request(one | {"outputs": named}).outputs == outputs


def test_an_outputs_own_parameter_overrides_that_of_the_request() -> None:
    one = {"inputs": [tensor([1], "BYTES", [B64])], "parameters": {"binary_data_output": True}}
    named = [{"name": "score", "parameters": {"binary_data": False}}, {"name": "label"}]
    assert request(one | {"outputs": named}).outputs == (Output("score"), Output("label", binary=True))


@pytest.mark.parametrize("value", [1, "true", []])
def test_a_choice_is_true_or_false(value: Any) -> None:
    one = {"inputs": [tensor([1], "BYTES", [B64])]}
    for more in (
        {"parameters": {"binary_data_output": value}},
        {"outputs": [{"name": "score", "parameters": {"binary_data": value}}]},
    ):
        assert "must be true or false" in refused(one | more, InvalidParameter).message
