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


def tensor(shape: Any, datatype: str, data: Any, **parameters: Any) -> dict[str, Any]:
    return {"name": "audio", "shape": shape, "datatype": datatype, "data": data, "parameters": parameters}
