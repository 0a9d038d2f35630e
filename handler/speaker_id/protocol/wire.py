"""Protocol Buffers' wire format, of which a message of Open Inference needs three kinds of fields.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from speaker_id.errors import MalformedRequest

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
VARINT_BYTES = 10  # of 64 bits, seven at a time
BROKEN = "the message is not valid protobuf: it ends within a field, or has one of an unknown kind"

Field = tuple[int, int | memoryview]  # its number, and what it holds


def varint(content: memoryview, at: int) -> tuple[int, int]:
    """Return an unsigned number of 64 bits that begins there, and where it ends.

    Raises:
        MalformedRequest: the content ends first, or it is longer.
    """
    value = 0
    for index, byte in enumerate(content[at : at + VARINT_BYTES]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value & (1 << 64) - 1, at + index + 1
    raise MalformedRequest(BROKEN)


def signed(value: int) -> int:
    """Return an int64 field's value, of which the wire has the two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value


def fields(content: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in order: a number, or bytes that are not copied.

    Raises:
        MalformedRequest: it is none.
    """
    at = 0
    while at < len(content):
        key, at = varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = varint(content, at)
            yield number, value
            continue
        if kind == LENGTH:
            size, at = varint(content, at)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise MalformedRequest(BROKEN)
        if size > len(content) - at:
            raise MalformedRequest(BROKEN)
        at += size
        yield number, content[at - size : at]


def packed_varint(value: int) -> bytes:
    """Write a number that is not negative."""
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def field(number: int, content: bytes) -> bytes:
    """Write a field of text, bytes or a message."""
    return packed_varint(number << 3 | LENGTH) + packed_varint(len(content)) + content


def number(name: int, value: int) -> bytes:
    """Write a field of a number that is not negative."""
    return packed_varint(name << 3 | VARINT) + packed_varint(value)


def packed(values: Iterable[int]) -> bytes:
    """Write numbers that are not negative, as a repeated field holds them."""
    return b"".join(map(packed_varint, values))
