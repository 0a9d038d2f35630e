"""One group of clips → the body of its request, and that request's answer → its values.

Whatever form the caller's request has, a group's is Open Inference's with binary tensors: no form has fewer bytes, and
its JSON has every score in the digits that the caller's own form has.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from speaker_id.clip import Clip, EncodedAudio
from speaker_id.protocol import Request
from speaker_id.protocol.binary import FP32, HEADER, LENGTH
from speaker_id.protocol.request import BY_NAME
from speaker_id.protocol.values import OPTION_NAMES

SIZE = "binary_data_size"  # of a binary tensor
Piece = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Body:
    """A request's body.

    Attributes:
        text: JSON.
        tensors: the bytes of the binary tensors after it, of which nothing is copied.
    """

    text: bytes
    tensors: Sequence[Piece]

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.text) + sum(map(len, self.tensors))

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield its content, as often as it is sent."""
        yield self.text
        for each in self.tensors:
            yield each


@dataclass(frozen=True)
class Part:
    """A group's answer.

    Attributes:
        document: its JSON value.
        tail: the bytes of its binary tensors.
    """

    document: Mapping[str, Any]
    tail: bytes


def body(request: Request, clips: Sequence[Clip]) -> Body:
    """Write the request of a group.

    Args:
        request: the caller's, whose options and outputs it asks for.
        clips: those of the group, at least one.
    """
    inputs, pieces = list[dict[str, Any]](), list[Piece]()
    for number, clip in enumerate(clips):
        datatype, shape, parameters, content = _tensor(clip)
        size: int = sum(map(len, content))
        inputs.append(
            {
                "name": f"clip{number}",
                "datatype": datatype,
                "shape": shape,
                "parameters": {**parameters, SIZE: size},
            }
        )
        pieces += content
    document: dict[str, Any] = {"inputs": inputs, "parameters": _options(request)}
    if request.id is not None:
        document["id"] = request.id
    if request.form in BY_NAME:
        document["outputs"] = [_output(each) for each in request.outputs]
    text = json.dumps(document, separators=(",", ":")).encode()
    return Body(text, pieces)


def _tensor(clip: Clip) -> tuple[str, list[int], dict[str, Any], list[Piece]]:
    if isinstance(clip, EncodedAudio):
        return "BYTES", [1], {}, [len(clip.data).to_bytes(LENGTH, "little"), clip.data]
    samples = np.ascontiguousarray(clip.samples, FP32)
    shape = [1, *samples.shape]
    return "FP32", shape, {"sampling_rate": clip.sampling_rate}, [samples.reshape(-1).data.cast("B")]


def _options(request: Request) -> dict[str, Any]:
    given = {name: getattr(request.options, name) for name in OPTION_NAMES}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None
    }


def _output(output: Any) -> dict[str, Any]:
    parameters: dict[str, Any] = {"binary_data": output.binary}
    if output.classes is not None:
        parameters["classification"] = output.classes
    return {"name": output.name, "parameters": parameters}


def part(content: bytes, headers: Mapping[str, str]) -> Part:
    """Read a group's answer.

    Args:
        content: its body.
        headers: names in lower case, or a mapping that ignores it.
    """
    length = int(headers.get(HEADER, len(content)))
    return Part(json.loads(content[:length]), content[length:])
