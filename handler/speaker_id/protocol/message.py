"""Open Inference over gRPC: a ModelInferRequest → the v2 request with binary tensors that says the same, and an answer
with binary tensors → a ModelInferResponse. What is allowed in it, `open_inference` says.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from struct import Struct
from typing import Any

from speaker_id.errors import MalformedRequest, RequestTooLarge
from speaker_id.protocol import wire
from speaker_id.protocol.binary import LENGTH, Tail
from speaker_id.protocol.render import Answer, check_size
from speaker_id.protocol.request import Bytes
from speaker_id.protocol.values import shown
from speaker_id.settings import JSON_FLAT, JSON_STRINGS_A_CLIP, MAX_DIMENSIONS, Settings

FORM = "application/grpc"  # what a payload's form says of such a body
CONTENTS = {6: "fp32_contents", 8: "bytes_contents"}  # of InferTensorContents: others hold no audio
DOUBLE = Struct("<d")
UNREADABLE = "a name, parameter or id in the message is not text in UTF-8"


class Reader:
    """Reads one message, whose fields it counts: a field of two bytes costs the memory of several objects.

    Args:
        most: fields that it may have, those of the messages in it included.
    """

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    def fields(self, content: int | memoryview) -> Iterator[wire.Field]:
        """Yield a message's fields."""
        for each in wire.fields(bytes_of(content)):
            self.left -= 1
            if self.left < 0:
                raise RequestTooLarge(f"the message has more than {self.most} fields, the maximum")
            yield each

    def request(self, content: memoryview) -> tuple[dict[str, Any], Tail]:
        """Return a ModelInferRequest as a v2 request: its JSON value, and the bytes of its tensors."""
        document: dict[str, Any] = {"inputs": [], "parameters": {}, "outputs": []}
        raw: list[memoryview] = []
        for number, value in self.fields(content):
            if number == 3:
                document["id"] = text(value) or None
            elif number == 4:
                self.parameter(value, document["parameters"])
            elif number == 5:
                document["inputs"].append(self.tensor(value))
            elif number == 6:
                document["outputs"].append(self.output(value))
            elif number == 7:
                raw.append(bytes_of(value))
        inputs = document["inputs"]
        given = [tensor.pop("contents") for tensor in inputs]
        if raw and any(given):
            raise MalformedRequest(
                "the message has raw_input_contents, and contents in an input: send one of them"
            )
        if raw and len(raw) != len(inputs):
            raise MalformedRequest(f"the message has {len(inputs)} inputs, but {len(raw)} raw_input_contents")
        tensors = raw or [memoryview(b"".join(parts)) for parts in given]
        for tensor, one in zip(inputs, tensors, strict=True):
            tensor["parameters"]["binary_data_size"] = len(one)
        document["parameters"]["binary_data_output"] = True
        return document, Tail(tensors[0] if len(tensors) == 1 else memoryview(b"".join(tensors)))

    def tensor(self, content: int | memoryview) -> dict[str, Any]:
        """An InferInputTensor, with `contents`: pieces of what would be raw_input_contents."""
        found: dict[str, Any] = {"shape": [], "parameters": {}, "contents": []}
        for number, value in self.fields(content):
            if number in (1, 2):
                found["name" if number == 1 else "datatype"] = text(value)
            elif number == 3:
                found["shape"] += [value] if isinstance(value, int) else numbers(value)
            elif number == 4:
                self.parameter(value, found["parameters"])
            elif number == 5:
                found["contents"] += self.contents(value)
        return found

    def contents(self, content: int | memoryview) -> Iterator[bytes | memoryview]:
        for number, value in self.fields(content):
            if number not in CONTENTS:
                raise MalformedRequest(f"contents of an input must be {' or '.join(CONTENTS.values())}")
            element = bytes_of(value)
            if CONTENTS[number] == "bytes_contents":
                yield len(element).to_bytes(LENGTH, "little")
            yield element

    def output(self, content: int | memoryview) -> dict[str, Any]:
        """An InferRequestedOutputTensor."""
        found: dict[str, Any] = {"parameters": {}}
        for number, value in self.fields(content):
            if number == 1:
                found["name"] = text(value)
            elif number == 2:
                self.parameter(value, found["parameters"])
        found["parameters"]["binary_data"] = True
        return found

    def parameter(self, content: int | memoryview, into: dict[str, Any]) -> None:
        """An entry of a map of InferParameters; of two with one name, the last counts."""
        name = ""
        value: bool | int | float | str | None = None
        for number, part in self.fields(content):
            if number == 1:
                name = text(part)
            elif number == 2:
                for kind, held in self.fields(part):
                    if kind == 1:
                        value = bool(held)
                    elif kind in (2, 5) and isinstance(held, int):
                        value = wire.signed(held) if kind == 2 else held
                    elif kind == 3:
                        value = text(held)
                    elif kind == 4 and isinstance(held, memoryview) and len(held) == DOUBLE.size:
                        (value,) = DOUBLE.unpack(held)
                    else:
                        raise MalformedRequest(f"parameter {shown(name)} is no boolean, number or text")
        into[name] = value


def read_message(content: Bytes, settings: Settings) -> tuple[dict[str, Any], Tail]:
    """Return the v2 request that a ModelInferRequest stands for.

    Raises:
        MalformedRequest, RequestTooLarge: it is none, or has too many fields.
    """
    most = JSON_STRINGS_A_CLIP * settings.max_request_clips + JSON_FLAT
    return Reader(most).request(memoryview(content))


def numbers(content: memoryview) -> list[int]:
    """Return the numbers of a packed field; one more than is allowed suffices to reject them all."""

    def read() -> Iterator[int]:
        at = 0
        while at < len(content):
            value, at = wire.varint(content, at)
            yield wire.signed(value)

    return list(islice(read(), MAX_DIMENSIONS + 1))


def bytes_of(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise MalformedRequest(wire.BROKEN)
    return value


def text(value: int | memoryview) -> str:
    try:
        return str(bytes_of(value), "utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedRequest(UNREADABLE) from exc


def write_message(answer: Answer, limit: int) -> bytes:
    """Return the ModelInferResponse of a v2 answer whose tensors are all binary.

    Raises:
        RequestTooLarge: it is longer than `limit` bytes.
    """
    value, tensors, at = answer.value, answer.tensors or b"", 0
    head = [(1, value["model_name"]), (2, value["model_version"]), (3, value.get("id", ""))]
    parts = [wire.field(number, told.encode()) for number, told in head if told]
    raw = []
    for output in value["outputs"]:
        told = dict(output["parameters"])
        size = told.pop("binary_data_size")
        described = wire.field(1, output["name"].encode()) + wire.field(2, output["datatype"].encode())
        described += wire.field(3, wire.packed(output["shape"]))
        described += b"".join(wire.field(4, parameter_of(name, value)) for name, value in told.items())
        parts.append(wire.field(5, described))
        raw.append(wire.field(6, tensors[at : at + size]))
        at += size
    message = b"".join((*parts, *raw))
    check_size(len(message), limit)
    return message


def parameter_of(name: str, value: str | int) -> bytes:
    """Return an entry of a map of InferParameters."""
    held = wire.number(2, value) if isinstance(value, int) else wire.field(3, value.encode())
    return wire.field(1, name.encode()) + wire.field(2, held)
