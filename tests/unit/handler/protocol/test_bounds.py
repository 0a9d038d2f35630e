"""What a body becomes in memory and costs in time is bounded by its length, whatever stands in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speaker_id.errors import RequestError
from speaker_id.protocol import Payload, parse
from speaker_id.settings import Settings

MEGABYTE = 1 << 20
FACTOR = 16  # bytes of memory for each of a body: what docs/api.md and `json_body` state
SLACK = 1 << 17  # bytes that any request takes
NANOSECONDS = 1_000  # of CPU time for each byte; 20 to 150 are measured on two cores of 2021
FORM = "multipart/form-data; boundary=b"


def repeated(unit: str, head: str, tail: str, length: int = MEGABYTE) -> bytes:
    return (head + unit * (length // len(unit.encode())) + tail).encode()


def array(unit: str, last: str = "0") -> bytes:
    return repeated(unit, '{"instances":[{"sampling_rate":192000,"array":[', last + "]}]}")


def tensor(unit: str, shape: str = "[1]", datatype: str = "FP32", last: str = "0") -> bytes:
    head = f'{{"inputs":[{{"name":"x","shape":{shape},"datatype":"{datatype}","parameters":{{"sampling_rate":192000}},'
    return repeated(unit, head + '"data":[', last + "]}]}")


ELEMENTS = {
    **{"zeros": "0,", "negative": "-9,", "large": "257,", "floats": "1e9,", "fine floats": "-0.1234567,"},
    **{"huge integers": "1" * 4000 + ",", "too huge integers": "1" * 5000 + ",", "not a number": "NaN,"},
    **{
        "null": "null,",
        "booleans": "true,",
        "strings": '"ab",',
        "empty strings": '"",',
        "escapes": '"\\u1234",',
    },
    **{
        "lists": "[],",
        "lists of one": "[0],",
        "objects": "{},",
        "objects of one": '{"a":1},',
        "rows": "[0,0],",
    },
}
LONG = '"' + "x" * (MEGABYTE // 8) + '"'  # among short ones: numpy makes every element as wide
HOSTILE = {
    **{f"v1 {name}": array(unit) for name, unit in ELEMENTS.items()},
    **{f"v2 {name}": tensor(unit) for name, unit in ELEMENTS.items()},
    "v1 one long string": array("0,", LONG),
    "v1 one long string among strings": repeated(
        '"",', '{"instances":[{"sampling_rate":16000,"array":[' + LONG, "]}]}"
    ),
    "v1 one long string in a row": array("0,", '0],["' + "x" * (MEGABYTE // 8) + '"')
    .replace(b'"array":[', b'"array":[[')
    .replace(b"]}]}", b"]]}]}"),
    "v2 one long string": tensor("0,", last=LONG),
    "v2 bytes of one letter": tensor('"QQ==",', "[150000]", "BYTES", '""'),
    "v2 bytes of numbers": tensor("0,", "[524289]", "BYTES"),
    "a long shape": tensor("0,").replace(b'"shape":[1]', b'"shape":[' + b"1," * (MEGABYTE // 2) + b"1]"),
    "base64 in pairs": repeated("AA ", '{"inputs":"', '"}'),
    "base64 of blanks": repeated(" ", '{"inputs":"', '"}'),
    "base64 of line breaks": repeated("\\n", '{"inputs":"', 'AA"}'),
    "base64 beside a wide character": repeated("AAAA", '{"inputs":"', '\U0001f600"}'),
    "a data URL without an end": repeated("a", '{"inputs":"data:', '"}'),
    "a long id": repeated("\\u0000", '{"inputs":[],"id":"', '"}'),
    "a long top_k": repeated("9", '{"inputs":"AAAA","parameters":{"top_k":"', '"}}'),
    "a long key": repeated("k", '{"', '":1}'),
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(MEGABYTE // 10)) + b"}",
    "equal outputs": repeated('{"name":"label"},', '{"inputs":[],"outputs":[', '{"name":"label"}]}'),
    "tensors of no clip": b'{"inputs":[%s]}'
    % b",".join(b'{"name":"%d","shape":[0],"datatype":"BYTES","data":[]}' % n for n in range(MEGABYTE // 52)),
    "as many as are read": b'{"inputs":[%s],"id":"%s"}'
    % (
        b",".join(b'{"name":"%d","shape":[0],"datatype":"BYTES","data":[]}' % n for n in range(350)),
        b"x" * MEGABYTE,
    ),
    "instances": repeated('{"b64":"AAAA"},', '{"instances":[', "0]}"),
    "one number": repeated("1", '{"a":0.', "}"),
    "one exponent": repeated("9", '{"a":1e', "}"),
    "nested lists": repeated("[", '{"inputs":', ""),
    "nested objects": repeated('{"a":', "", ""),
    "UTF-16": json.dumps({"inputs": "A" * MEGABYTE}).encode("utf-16-le"),
}
FORMS = {
    "tiny parts": repeated('--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n', "", "--b--\r\n"),
    "boundaries": repeated("\r\n--b", "", "--\r\n"),
    "boundary lines": repeated("--b\r\n", "", "--b--\r\n"),
    "near boundaries": repeated(
        "\r\n--a", '--b\r\nContent-Disposition: form-data; name="data"\r\n\r\n', "\r\n--b--"
    ),
    "blanks behind a boundary": repeated(" ", "--b", "x"),
    "a long header": repeated("x", "--b\r\nContent-Disposition: form-data; name=", "\r\n\r\n\r\n--b--"),
    "many parameters": repeated(';a="', "--b\r\nContent-Disposition: form-data", "\r\n\r\n\r\n--b--", 3000),
}


def binary(shape: str, datatype: str, tail: bytes) -> tuple[bytes, bytes]:
    """The JSON of a request with one binary tensor, and the tensor."""
    given = f'"parameters":{{"sampling_rate":192000,"binary_data_size":{len(tail)}}}'
    tensor = f'{{"name":"x","shape":{shape},"datatype":"{datatype}",{given}}}'
    return f'{{"inputs":[{tensor}]}}'.encode(), tail


BINARY = {
    "a waveform": binary(f"[{MEGABYTE // 4}]", "FP32", bytes(MEGABYTE)),
    "waveforms of one sample": binary(f"[{MEGABYTE // 4},1]", "FP32", bytes(MEGABYTE)),
    "a waveform of NaN": binary(f"[1,8,{MEGABYTE // 32}]", "FP32", b"\xff" * MEGABYTE),
    "one element": binary("[1]", "BYTES", (MEGABYTE - 4).to_bytes(4, "little") + bytes(MEGABYTE - 4)),
    "elements of no bytes": binary("[64]", "BYTES", bytes(MEGABYTE)),
    "too many elements": binary(f"[{MEGABYTE // 4}]", "BYTES", bytes(MEGABYTE)),
    "tensors of no bytes": (
        b'{"inputs":[%s]}'
        % b",".join(
            b'{"name":"%d","shape":[0],"datatype":"BYTES","parameters":{"binary_data_size":0}}' % n
            for n in range(350)
        ),
        bytes(MEGABYTE),
    ),
    "JSON that is all of it": (b'{"inputs":[' + b"[]," * (MEGABYTE // 3) + b"0]}", b""),
}
MEASURE = """
import contextlib, json, resource, sys, time, tracemalloc
from tests.unit.handler.protocol.test_bounds import BINARY, FORM, FORMS, HOSTILE, Payload, RequestError, Settings, parse
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))  # of a machine that others use, should a bound not hold
found = {}
payloads = {name: Payload({"body": body}) for name, body in HOSTILE.items()}
payloads |= {name: Payload({"body": body}, form=FORM) for name, body in FORMS.items()}
for name, (head, tail) in BINARY.items():
    payloads[name] = Payload({"body": head + tail}, {"Inference-Header-Content-Length": str(len(head))})
for name, payload in payloads.items():
    body = payload.parts["body"]
    began = time.process_time_ns()
    with contextlib.suppress(RequestError):
        parse(payload, Settings())
    spent = time.process_time_ns() - began
    tracemalloc.start()
    with contextlib.suppress(RequestError):
        parse(payload, Settings())
    found[name] = (len(body), tracemalloc.get_traced_memory()[1], spent)
    tracemalloc.stop()
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[int, int, int]]:
    """By the name of a body: its bytes, the most memory while it is parsed, and nanoseconds of CPU time."""
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=600, env=os.environ | path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", HOSTILE | FORMS | BINARY)
def test_memory_is_bounded_by_the_bodys_length(measured: dict[str, tuple[int, int, int]], name: str) -> None:
    length, memory, _ = measured[name]
    assert memory <= FACTOR * length + SLACK


@pytest.mark.parametrize("name", HOSTILE | FORMS | BINARY)
def test_so_is_time(measured: dict[str, tuple[int, int, int]], name: str) -> None:
    length, _, nanoseconds = measured[name]
    assert nanoseconds <= NANOSECONDS * length + 50e6


SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.just("UklGRg==")
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
PLACES = (
    '{"instances": [{"sampling_rate": 16000, "array": [%s]}]}',
    '{"instances": [%s]}',
    '{"inputs": [{"shape": [1], "datatype": "FP32", "parameters": {"sampling_rate": 8000}, "data": [%s]}]}',
    '{"inputs": [{"shape": [2], "datatype": "BYTES", "data": [%s]}]}',
    '{"inputs": [%s]}',
    '{"inputs": [], "outputs": [%s]}',
    '{"inputs": [], "id": [%s], "parameters": {}}',
    "[%s]",
)


@settings(max_examples=200, deadline=None)
@given(JSON, JSON, st.sampled_from(PLACES), st.integers(1, 3000))
def test_any_json_is_understood_or_refused_in_bounded_memory(
    value: Any, other: Any, place: str, times: int
) -> None:
    body = (place % ",".join([json.dumps(value)] * times + [json.dumps(other)])).encode()
    tracemalloc.start()
    try:
        with contextlib.suppress(RequestError):
            parse(Payload({"body": body}), Settings())
        assert tracemalloc.get_traced_memory()[1] <= FACTOR * len(body) + SLACK
    finally:
        tracemalloc.stop()
