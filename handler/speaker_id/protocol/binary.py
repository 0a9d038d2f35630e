"""Binary tensors of the Open Inference Protocol: a JSON text, and after it the bytes of the tensors that it describes.

The header Inference-Header-Content-Length says where the JSON ends; every such tensor has `binary_data_size`, and they
follow in the JSON's order. `BYTES`: each element is its length, 4 bytes, and then that many; `FP32`: 4 bytes a number.
All is little-endian, without padding.
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from speaker_id.errors import MalformedRequest
from speaker_id.protocol.request import Bytes
from speaker_id.protocol.values import shown

HEADER = "inference-header-content-length"
LENGTH = 4  # bytes before an element of BYTES
FP32 = np.dtype("<f4")
DIGITS = 10  # of a length in bytes; no body has more


class Tail:
    """The bytes after the JSON, which its tensors take in order.

    Args:
        content: all of them.
    """

    def __init__(self, content: memoryview) -> None:
        self.content, self.taken = content, 0

    def take(self, size: object, name: str) -> memoryview:
        """Return the next tensor's bytes.

        Args:
            size: its binary_data_size, as the caller gave it.
            name: of the tensor, for the error.

        Raises:
            MalformedRequest: it is no size, or larger than what is left.
        """
        if type(size) is not int or size < 0:
            raise MalformedRequest(
                f"binary_data_size of input {shown(name)} must be a whole number of bytes, not {shown(size)}"
            )
        left = len(self.content) - self.taken
        if size > left:
            raise MalformedRequest(
                f"binary_data_size of input {shown(name)} is {shown(size)}, but only {left} bytes are left of the "
                f"{len(self.content)} after the JSON"
            )
        self.taken += size
        return self.content[self.taken - size : self.taken]

    def check_empty(self) -> None:
        """Raise MalformedRequest unless the tensors took all."""
        if self.taken < len(self.content):
            raise MalformedRequest(
                f"{len(self.content)} bytes follow the JSON, but its inputs declare {self.taken} in binary_data_size"
            )


def split(body: Bytes, headers: Mapping[str, str]) -> tuple[Bytes, Tail | None]:
    """Return a body's JSON and what follows it; the whole body and None without the header.

    Args:
        body: as it was sent, decompressed.
        headers: names in lower case.

    Raises:
        MalformedRequest: the header is no length, or longer than the body.
    """
    given = headers.get(HEADER)
    if given is None:
        return body, None
    text = given.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise MalformedRequest(
            f"Inference-Header-Content-Length must be the length of the JSON in bytes, not {shown(given)}"
        )
    length = int(text)
    if length > len(body):
        raise MalformedRequest(
            f"Inference-Header-Content-Length is {length}, but the body has only {len(body)} bytes"
        )
    return body[:length], Tail(memoryview(body)[length:])


def elements(content: memoryview, count: int, name: str) -> Iterator[memoryview]:
    """Yield the elements of a BYTES tensor.

    Args:
        content: its bytes.
        count: how many its shape declares.
        name: of the tensor, for the error.

    Raises:
        MalformedRequest: the elements are not as long as they say, or not as many.
    """
    start = 0
    for index in range(count):
        begin = start + LENGTH
        if begin > len(content):
            raise MalformedRequest(
                f"input {shown(name)} has {len(content)} bytes, which end before its element {index}: its shape "
                f"declares {count}"
            )
        length = int.from_bytes(content[start:begin], "little")
        if length > len(content) - begin:
            raise MalformedRequest(
                f"element {index} of input {shown(name)} declares {length} bytes, but only {len(content) - begin} "
                "follow in its tensor",
                instance=index,
            )
        start = begin + length
        yield content[begin:start]
    if start < len(content):
        raise MalformedRequest(
            f"the {count} elements of input {shown(name)} take {start} bytes, but its binary_data_size is "
            f"{len(content)}"
        )


def waveforms(content: memoryview, sizes: tuple[int, ...], name: str) -> npt.NDArray[np.float32]:
    """Return an FP32 tensor of this shape, without a copy where the machine is little-endian as well.

    NaN and infinity pass: the audio stage reports where they are.

    Raises:
        MalformedRequest: it has another number of bytes than its shape.
    """
    if len(content) != (wanted := math.prod(sizes) * FP32.itemsize):
        raise MalformedRequest(
            f"binary_data_size of input {shown(name)} is {len(content)}, but an FP32 tensor of shape {list(sizes)} has "
            f"{wanted} bytes"
        )
    return np.frombuffer(content, FP32).astype(np.float32, copy=False).reshape(sizes)


def packed_text(values: Iterable[str]) -> bytes:
    """Return the bytes of a BYTES tensor of texts, in UTF-8."""
    texts = [value.encode() for value in values]
    return b"".join(len(text).to_bytes(LENGTH, "little") + text for text in texts)


def packed_numbers(values: Iterable[float]) -> bytes:
    """Return the bytes of an FP32 tensor."""
    return np.fromiter(values, FP32).tobytes()
