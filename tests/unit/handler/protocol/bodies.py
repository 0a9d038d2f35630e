"""Bodies of requests, and what they are understood as."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from speaker_id.errors import RequestError
from speaker_id.protocol import Payload, Request, parse
from speaker_id.settings import Settings

AUDIO = b"RIFF\x00\x00"
B64 = base64.b64encode(AUDIO).decode()
SETTINGS = Settings(max_request_clips=3)


def request(body: Any, headers: dict[str, str] | None = None, path: str = "", **parts: bytes) -> Request:
    """What bytes, or the JSON text of another value, are understood as."""
    content = body if isinstance(body, (bytes, bytearray)) else json.dumps(body).encode()
    return parse(Payload({"body": content, **parts}, headers or {}, path), SETTINGS)


def refused(body: Any, kind: type[RequestError], **more: Any) -> RequestError:
    with pytest.raises(kind) as caught:
        request(body, **more)
    assert type(caught.value) is kind
    return caught.value


def tensor(shape: Any, datatype: str, data: Any, *, name: str = "audio", **parameters: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, "parameters": parameters}


def binary_tensor(
    shape: Any, datatype: str, content: bytes, *, name: str = "audio", **parameters: Any
) -> dict[str, Any]:
    """A tensor whose bytes follow the JSON."""
    parameters = {"binary_data_size": len(content), **parameters}
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": parameters}


def element(content: bytes, length: int | None = None) -> bytes:
    """An element of BYTES, with its length or a wrong one."""
    return (len(content) if length is None else length).to_bytes(4, "little") + content


def with_tail(document: Any, tail: bytes, header: object = None) -> tuple[bytes, dict[str, str]]:
    """A body of JSON and bytes, and the headers that describe it."""
    text = json.dumps(document).encode()
    return text + tail, {"Inference-Header-Content-Length": str(len(text) if header is None else header)}
