"""Messages of Open Inference over gRPC, of one clip, written and read by hand: no stubs are generated for them.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
"""

from __future__ import annotations

import struct
from collections import defaultdict

OPEN_INFERENCE = "inference.GRPCInferenceService"


def varint(value: int) -> bytes:
    written = b""
    while value > 127:
        written, value = written + bytes([value & 127 | 128]), value >> 7
    return written + bytes([value])


def field_of(number: int, value: bytes) -> bytes:
    """A field of bytes, a text or a message."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def infer_request(model: str, clip: bytes, *, top_k: int) -> bytes:
    """A ModelInferRequest: model_name = 1, parameters = 4, inputs = 5, raw_input_contents = 7."""
    tensor = field_of(1, b"audio") + field_of(2, b"BYTES") + field_of(3, bytes([1, 1]))
    parameter = field_of(1, b"top_k") + field_of(2, b"\x10" + varint(top_k))  # a map's entry; int64_param = 2
    element = len(clip).to_bytes(4, "little") + clip
    return field_of(1, model.encode()) + field_of(4, parameter) + field_of(5, tensor) + field_of(7, element)


def infer_response(message: bytes) -> dict[str, float]:
    """The ranking in a ModelInferResponse: outputs = 5, of which name = 1; raw_output_contents = 6."""
    fields = read(message)
    names = [read(output)[1][0].decode() for output in fields[5]]
    tensors = dict(zip(names, fields[6], strict=True))
    labels, rest = [], tensors["label"]
    while rest:
        end = 4 + int.from_bytes(rest[:4], "little")
        labels.append(rest[4:end].decode())
        rest = rest[end:]
    scores = struct.unpack(f"<{len(labels)}f", tensors["score"])
    return dict(zip(labels, scores, strict=True))


def read(message: bytes) -> dict[int, list[bytes]]:
    """The fields of a message that have a length, by number; those of other kinds are skipped."""
    found, at = defaultdict(list), 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 2:
            length = number()
            found[key >> 3].append(message[at : at + length])
            at += length
        else:
            assert key & 7 == 0, "neither a length nor a number"
            number()
    return found
