"""What is sent, where, and in which form."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path

from urllib3.filepost import encode_multipart_formdata

from measure.loadtest import LoadTestError

RAW, GRPC, GRPC_V2, MULTIPART, JSON, BINARY = "raw", "grpc", "grpc-v2", "multipart:", "json:", "binary:"
OVER_GRPC = (GRPC, GRPC_V2)
LENGTH = "Inference-Header-Content-Length"
AUDIO = "$AUDIO"  # in a JSON form, where the base64 text goes


@dataclass(frozen=True)
class Clip:
    """One file that is sent; `seconds` of audio."""

    name: str
    path: Path
    seconds: float
    media_type: str


@dataclass(frozen=True)
class Target:
    """One endpoint.

    Attributes:
        url: the whole URL that is posted to; of gRPC `host:port/NAME` or `host:port/NAME:VERSION`.
        form: `raw` (the file is the body), `multipart:FIELD` (a form with the file as FIELD), `json:TEXT` (TEXT with
            the file's base64 in place of $AUDIO), `binary:INPUT` (the Open Inference Protocol's, with the file in a
            binary tensor of that name), `grpc` (TorchServe's inference API), or `grpc-v2` (Open Inference's).
        headers: sent with every request, over those that the form sets.
        timeout: seconds that an answer may take.
    """

    url: str
    form: str = RAW
    headers: dict[str, str] = field(default_factory=dict)
    timeout: float = 60.0


def encode(target: Target, clip: Clip, content: bytes) -> tuple[bytes, dict[str, str]]:
    """A clip as the target's request body, with its headers.

    Raises:
        LoadTestError: the form is unknown.
    """
    if target.form in (RAW, *OVER_GRPC):
        body, headers = content, {"Content-Type": clip.media_type}
    elif target.form.startswith(MULTIPART):
        part = (clip.name, content, clip.media_type)
        body, kind = encode_multipart_formdata({target.form.removeprefix(MULTIPART): part})
        headers = {"Content-Type": kind}
    elif target.form.startswith(JSON) and AUDIO in target.form:
        text = target.form.removeprefix(JSON).replace(AUDIO, base64.b64encode(content).decode())
        json.loads(text)
        body, headers = text.encode(), {"Content-Type": "application/json"}
    elif target.form.startswith(BINARY):
        size = len(content).to_bytes(4, "little")  # before each element of a BYTES tensor
        tensor = {"name": target.form.removeprefix(BINARY), "shape": [1, 1], "datatype": "BYTES"}
        parameters = {"binary_data_size": len(size) + len(content)}
        head = json.dumps({"inputs": [{**tensor, "parameters": parameters}]}).encode()
        body = head + size + content
        headers = {"Content-Type": "application/octet-stream", LENGTH: str(len(head))}
    else:
        raise LoadTestError(
            f"unknown form {target.form!r}: raw, multipart:FIELD, json:TEXT with {AUDIO} in it, binary:INPUT, "
            "grpc or grpc-v2"
        )
    return body, {**headers, "Accept": "application/json", **target.headers}
