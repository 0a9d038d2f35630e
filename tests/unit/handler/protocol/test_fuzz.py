"""No body makes the parser raise anything but a request error."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from speaker_id.errors import RequestError
from speaker_id.protocol import Payload, parse
from speaker_id.settings import Settings

SETTINGS = Settings(max_request_clips=3)
KEYS = st.sampled_from(
    (
        *("inputs", "instances", "parameters", "id", "outputs"),
        *("name", "shape", "datatype", "data", "b64", "array", "sampling_rate"),
        *("top_k", "function_to_apply"),
    )
)
SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["BYTES", "FP32", "UklGRg==", "softmax", 16000, 1, 2])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)


def parsed(payload: Payload) -> None:
    with contextlib.suppress(RequestError):
        assert parse(payload, SETTINGS).clips is not None


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_any_json(document: Any) -> None:
    parsed(Payload({"body": json.dumps(document).encode()}))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, JSON, min_size=1))
def test_json_of_the_right_keys(document: dict[str, Any]) -> None:
    parsed(Payload({"body": json.dumps(document).encode()}))


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"{", b"[", b'{"inputs":', b'{"instances":[{"array":['])
)
def test_any_bytes(tail: bytes, head: bytes) -> None:
    parsed(Payload({"body": head + tail}))


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["data", "top_k", "x"]), st.binary(max_size=20)),
    st.dictionaries(st.sampled_from(["X-Top-K", "x-function-to-apply", "Accept"]), st.text()),
    st.text(),
)
def test_any_parts_headers_and_path(parts: dict[str, Any], headers: dict[str, str], path: str) -> None:
    parsed(Payload(parts, headers, path))
