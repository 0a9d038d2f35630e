"""JSON that is malformed or unusual: wrong base64, deep nesting, invalid numbers, impossible shapes."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from measure.chaos import mutations

DEEPEST = 200_000  # brackets
SIZES = (10**9, 2**31 - 1, 2**31, 2**63, -1, 0, 1, 1.5, "9", None, True)
NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    "null",
    '"1"',
    "true",
    "[]",
    "{}",
    "1e-400",
    "9" * 400,
)


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def wrap(draw: random.Random, encoded: str) -> bytes:
    """A base64 text, in one of the forms that hold one."""
    tensor = {"name": "audio", "shape": [1], "datatype": "BYTES", "data": [encoded]}
    return text(draw.choice(({"inputs": encoded}, {"instances": [{"b64": encoded}]}, {"inputs": [tensor]})))


def base64_text(draw: random.Random) -> bytes:
    whole = base64.b64encode(mutations.clip(draw)).decode()
    cut = whole[: draw.randrange(1, len(whole))]
    wrong = (cut, "###", "", "=", "A", whole + "=", "-_-_", "\u0000", "é" * 40, "data:" + cut)
    return wrap(draw, draw.choice(wrong))


def damaged_clip(draw: random.Random) -> bytes:
    damage = draw.choice((mutations.truncated, mutations.flipped, mutations.overwritten, mutations.bomb))
    return wrap(draw, base64.b64encode(damage(draw)).decode())


def deep(draw: random.Random) -> bytes:
    depth = draw.choice((50, 500, 900, 1100, 5_000, DEEPEST))
    pairs = (("[", "]"), ('{"a":', "}"), ('{"instances":[', "]}"), ('{"inputs":[', "]}"))
    opened, closed = draw.choice(pairs)
    bottom = draw.choice(("", "1", '"x"'))
    return (opened * depth + bottom + closed * (depth if draw.random() < 0.7 else depth // 2)).encode()


def broken(draw: random.Random) -> bytes:
    whole = bytearray(wrap(draw, base64.b64encode(mutations.clip(draw)).decode()[:2000]))
    if draw.random() < 0.5:
        return bytes(whole[: draw.randrange(1, len(whole))])
    for _ in range(draw.randrange(1, 6)):
        whole[draw.randrange(len(whole))] = draw.randrange(256)
    return bytes(whole)


def not_numbers(draw: random.Random) -> bytes:
    """Arrays of samples with invalid ones among them; written by hand, as JSON has no NaN."""
    samples = ["0.25"] * draw.choice((1, 399, 400, 2_000))
    for _ in range(draw.randrange(1, 4)):
        samples[draw.randrange(len(samples))] = draw.choice(NUMBERS)
    array = f"[{','.join(samples)}]"
    if draw.random() < 0.3:
        array = f"[{array},{draw.choice((array, '[1]', '1'))}]"
    rate = draw.choice(("16000", "16000", "0", "-8000", "1e300", "NaN", "3", "400000", '"x"', "null"))
    if draw.random() < 0.5:
        return f'{{"instances":[{{"array":{array},"sampling_rate":{rate}}}]}}'.encode()
    shape = draw.choice((f"[{len(samples)}]", f"[1,{len(samples)}]", "[1,1,1,1]", "[]"))
    tensor = f'{{"name":"a","shape":{shape},"datatype":"FP32","data":{array}}}'
    return f'{{"inputs":[{tensor}],"parameters":{{"sampling_rate":{rate}}}}}'.encode()


def shapes(draw: random.Random) -> bytes:
    """Shapes of 1e9 and the like, with a few numbers or none behind them."""
    shape = [draw.choice(SIZES) for _ in range(draw.randrange(0, 5))]
    data: Any = draw.choice(([], [0.0] * 16, [[0.0] * 4] * 4, "AAAA", None, ["AAAA"]))
    kind = draw.choice(("FP32", "BYTES", "INT8", 7))
    tensor = {"name": "audio", "shape": shape, "datatype": kind, "data": data}
    inputs = [tensor] * draw.choice((1, 1, 2, 70, 3_000))
    return text({"inputs": inputs, "parameters": {"sampling_rate": draw.choice((16_000, 1, 10**9))}})


def excess(draw: random.Random) -> bytes:
    """Few bytes that expand: one long string among numbers, empty lists, equal outputs, samples that overflow."""
    times = draw.choice((100, 2_500, 40_000))
    array = '{"instances":[{"sampling_rate":16000,"array":[%s]}]}'
    outputs = '{"inputs":[{"name":"a","shape":[0],"datatype":"BYTES","data":[]}],"outputs":[%s]}'
    whole, element, last = draw.choice(
        (
            (array, "0,", '"' + "x" * times + '"'),
            (array, '"",', '"' + "x" * times + '"'),
            (array, "[],", "0"),
            (array, '{"a":1},', "0"),
            (array, "-3e34,", "3e34"),
            (outputs, '{"name":"label"},', '{"name":"label"}'),
            ('{"inputs":"%s"}', "AA ", "AA"),
            ('{"inputs":[],"id":"%s"}', "\\u0000", ""),
            ('{"inputs":"AAAA","parameters":{"top_k":%s}}', "9", "9"),
        )
    )
    return (whole % (element * times + last)).encode()


def unlikely(draw: random.Random) -> bytes:
    """Well-formed JSON that is no valid request."""
    values: list[Any] = [
        *(None, True, 7, "text", [], {}, [[]], {"a": 1}, {"instances": 1}, {"inputs": 1}),
        *({"instances": []}, {"instances": [None]}, {"instances": [{"b64": 7}]}, {"instances": [{}] * 1_000}),
        *({"inputs": []}, {"inputs": [[]]}),
        {"inputs": "AAAA", "parameters": {"top_k": draw.choice((0, -1, 1e30, "x", None, [], 10**30))}},
        {"inputs": "AAAA", "parameters": 3, "extra": {"x": "y" * 10_000}},
        {"k" * 10_000: 1},
        {"inputs": "\ud800"},
    ]
    return text(draw.choice(values))


def binary_tensors(draw: random.Random) -> tuple[bytes, str]:
    """Tensors after the JSON that say something wrong of themselves; with the header that says where the JSON ends."""
    inputs, tail = [], b""
    for number in range(draw.choice((1, 1, 2, 3))):
        name, kind = (
            draw.choice((f"t{number}", f"t{number}", "t0", "")),
            draw.choice(("BYTES", "FP32", "INT8")),
        )
        content = mutations.clip(draw)
        if kind == "BYTES":
            length = draw.choice((len(content), len(content), 0, len(content) + 1, 2**32 - 1))
            content, shape = length.to_bytes(4, "little") + content, draw.choice(([1], [1], [1, 1], [2], [0]))
        else:
            content = draw.choice(
                (content[: len(content) // 4 * 4], content, b"\xff" * 1600, b"\0\0\xc0\x7f" * 400)
            )
            shape = draw.choice(([len(content) // 4], [1, len(content) // 4], [1, 1, 1], [10**9]))
        size = draw.choice((len(content), len(content), len(content) + 1, 0, -1, 2**63, "9", None))
        parameters = {"binary_data_size": size, "sampling_rate": 16_000}
        inputs.append({"name": name, "datatype": kind, "shape": shape, "parameters": parameters})
        tail += content
    head = text({"inputs": inputs})
    cut = tail[: draw.randrange(len(tail))] if draw.random() < 0.2 else tail
    lengths = (len(head), len(head), len(head), len(head) - 1, len(head) + 1, 0, 10**9, -1, "x", "1,1")
    return head + cut, str(draw.choice(lengths))
