"""The output tensors that a v2 request asks for, and how each is to be sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from speaker_id.errors import InvalidParameter, MalformedRequest
from speaker_id.protocol import values
from speaker_id.protocol.heads import chosen
from speaker_id.protocol.request import EMBEDDING, FIELDS, Options, Output

KEYS = ("name", "parameters")
PARAMETERS = ("binary_data", "classification", "content_type")


def names(heads: Iterable[str], fields: tuple[str, ...] = FIELDS) -> tuple[str, ...]:
    """Return the names of the output tensors of heads: each field once a head, without a name for the head ""."""
    return tuple(f"{head}.{field}" if head else field for head in heads for field in fields)


def every(heads: Iterable[str]) -> tuple[str, ...]:
    """Return the names of all output tensors of a model: the embedding is sent only when it is asked for."""
    return (*names(heads), EMBEDDING)


def asked_of(options: Options, heads: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the outputs of a request that names none."""
    if options.output == EMBEDDING:
        chosen(options, heads)  # which rejects heads beside it
        return (EMBEDDING,)
    return names(chosen(options, heads))


def wanted_outputs(
    given: Any, all_binary: Any, heads: Iterable[str], options: Options = values.NO_OPTIONS
) -> tuple[Output, ...]:
    """Return the outputs in the order asked for; where none is named, those of the heads that are.

    Args:
        given: the request's `outputs`.
        all_binary: its parameter `binary_data_output`, which an output's own `binary_data` overrides.
        heads: the settings' `output_heads`.
        options: the caller's; outputs that are named take precedence.

    Raises:
        MalformedRequest, InvalidParameter: an output is unknown, repeated, or has an unknown parameter.
    """
    known, unnamed = every(heads), asked_of(options, heads)
    otherwise = flag(all_binary, "binary_data_output", False)
    if given is None or given == []:
        return tuple(Output(name, otherwise) for name in unnamed)
    if not isinstance(given, list) or not all(isinstance(output, dict) for output in given):
        raise MalformedRequest("outputs must be a list of objects")
    found: dict[str, Output] = {}
    # a repeated one is rejected at once, so there are never more than there are known names
    for output in given:
        for key in output:
            values.one_of(key, KEYS, "output key")
        name = values.one_of(output.get("name"), known, "output")
        if name in found:
            raise InvalidParameter(f"output {name} is requested twice; name it once")
        asked = values.named(output.get("parameters"), PARAMETERS)
        binary = flag(asked.get("binary_data"), "binary_data", otherwise)
        found[name] = Output(name, binary, classes(name, asked.get("classification")))
    return tuple(found.values())


def classes(name: str, count: Any) -> int | None:
    """Parse an output's parameter `classification`: how many classes."""
    if count is None:
        return None
    if name.rpartition(".")[2] != "score":
        raise InvalidParameter(f"classification is of scores: output {name} has none")
    return values.top_k(count, "classification")


def flag(value: Any, name: str, otherwise: bool) -> bool:
    """Parse a parameter that is true or false; null means not given."""
    if value is not None and not isinstance(value, bool):
        raise InvalidParameter(f"{name} must be true or false, not {values.shown(value)}")
    return otherwise if value is None else value
