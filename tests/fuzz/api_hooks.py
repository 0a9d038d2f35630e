"""What schemathesis does here beside its own, loaded into its process: audio in half of the bodies, and one more check.

Random bytes are no audio, so that without these nearly all answers would be refusals. Half of the requests that carry a
clip keep what was made of their headers and options, and get a body that is answered.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st

from measure.chaos.recordings import FORMATS, recording

SECONDS = 0.1  # of each recording
AUDIO = {name: recording(name, SECONDS) for name in FORMATS}
RATE = 4000
WAVEFORM = [0.25 if index // 8 % 2 else -0.25 for index in range(RATE // 10)]
LENGTH = "Inference-Header-Content-Length"
# 504: what X-Request-Timeout, or the parameter timeout, asks for is not a failure of the server
HURRIED = "deadline_exceeded"
ANSWERS: dict[str, Counter[str]] = {"clips": Counter(), "questions": Counter()}  # by what was sent


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """An answer with a key that is not described is a failure here; callers are told nothing so strict."""
    for schema in raw_schema["components"]["schemas"].values():
        if schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)


@schemathesis.hook
def before_generate_case(context: Any, strategy: Any) -> Any:
    if context.operation.method.lower() not in ("post", "put"):
        return strategy
    return st.builds(with_audio, strategy, st.sampled_from(sorted(AUDIO)) | st.none(), st.integers(0, 2))


def with_audio(case: Any, name: str | None, form: int) -> Any:
    """The same request with a recording in its body and a version that is there; as it is without a name."""
    if name is None or case.media_type is None:
        return case
    forms = json_forms(base64.b64encode(AUDIO[name]).decode())
    if case.media_type == "application/json":
        last = case.path.rpartition("/")[2]
        case.body = {"infer": forms[2], "{model}:predict": forms[1]}.get(last, forms[form])
    elif case.media_type.startswith("multipart"):
        case.body = {"data": AUDIO[name]}
    else:
        case.body = AUDIO[name]
        case.headers.pop(LENGTH, None)
        if case.path.endswith("/infer"):
            case.headers[LENGTH], case.body = binary(AUDIO[name]) if form else ("0", AUDIO[name])
    if "version" in case.path_parameters:
        case.path_parameters["version"] = "1.0"
    for header in ("Content-Encoding", "X-Request-Timeout"):
        case.headers.pop(header, None)
    return case


def json_forms(text: str) -> list[dict[str, Any]]:
    """A file in each of the JSON forms, a waveform beside it where there may be two clips."""
    rate = {"sampling_rate": RATE}
    file = {"name": "audio", "datatype": "BYTES", "shape": [1], "data": [text]}
    waveform = {"name": "more", "datatype": "FP32", "shape": [1, len(WAVEFORM)], "data": WAVEFORM}
    return [
        {"inputs": text},
        {"instances": [{"b64": text}, {"array": WAVEFORM, **rate}]},
        {"inputs": [file, {**waveform, "parameters": rate}]},
    ]


def binary(audio: bytes) -> tuple[str, bytes]:
    """The length of a request's JSON, and its body: the JSON and a binary tensor, which asks for one in answer."""
    tensor = len(audio).to_bytes(4, "little") + audio
    described = {"name": "audio", "datatype": "BYTES", "shape": [1]}
    document = {"inputs": [{**described, "parameters": {"binary_data_size": len(tensor)}}]}
    text = json.dumps({**document, "parameters": {"binary_data_output": True}}).encode()
    return str(len(text)), text + tensor


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether a failure counts."""
    return not (
        response.status_code == 504
        and type(failure).__name__ == "ServerError"
        and response.json().get("code") == HURRIED
        and ("X-Request-Timeout" in case.headers or "'timeout'" in str(case.body))
    )


@schemathesis.check
def described_code(ctx: Any, response: Any, case: Any) -> None:
    """An error's code is one that is described for its status."""
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if response.status_code < 400 or "$ref" not in described:
        return
    document = case.operation.schema.raw_schema
    named = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    codes = named["content"]["application/json"]["examples"]
    code = response.json()["code"]
    assert code in codes, f"{code} is not described for {response.status_code}, but {', '.join(codes)}"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    ANSWERS["clips" if case.method in ("POST", "PUT") else "questions"][str(response.status_code)] += 1


@atexit.register
def write() -> None:
    Path(os.environ["FUZZ_API_ANSWERS"]).write_text(json.dumps(ANSWERS))
