"""What stands in paths, queries and headers, of requests and of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speaker_id.protocol.coding import CODINGS
from speaker_id.settings import MAX_INFLATED_BYTES, Settings

from bundle.sources import VERSION
from bundle.spec import SHORT_NAME
from serving.api.requests import (
    FALSE_ALARMS,
    FUNCTION,
    HEADS,
    HOP,
    MIN_SCORE,
    OUTPUT,
    TOP_K,
    WINDOW,
    Schema,
    opens,
    ref,
)

JSON_LENGTH = "Inference-Header-Content-Length"

FROM_LOGITS = "From logits to scores."
AS_WHAT = "What to answer with; `embedding` in place of the ranking."
OF_HEADS = ("query_heads", "X-Heads")  # where a model has several
OF_UNKNOWN = ("query_fpir", "query_min_score", "X-Fpir", "X-Min-Score")  # where a model may answer it
STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number", "minimum": 0}


def schemas(models: Sequence[str]) -> dict[str, Schema]:
    """Of values that several parameters may have, by name.

    Args:
        models: names of those served; none if they are not told.
    """
    named = {"enum": list(models)} if models else {"pattern": f"^{SHORT_NAME.pattern}$"}
    return {
        "ModelName": {"type": "string", **named},
        "ContentCoding": {"type": "string", "enum": [*CODINGS, "identity"]},
    }


def optional(settings: Sequence[Settings]) -> tuple[str, ...]:
    """The names of those that only some models have."""
    found: tuple[str, ...] = OF_HEADS if any(each.heads for each in settings) else ()
    return (*found, *OF_UNKNOWN) if opens(settings) else found


def components(page: bool, some: Sequence[str]) -> dict[str, Any]:
    """The parameters by their names.

    Args:
        page: whether there is a page with sample clips.
        some: of those that only some models have, which one here has.
    """
    version: Schema = {"type": "string", "pattern": f"^{VERSION.pattern}$", "examples": ["1.0"]}
    of_several = "Heads to answer with, of a model of several."
    others = {
        "query_heads": _given("query", "heads", HEADS, of_several),
        "X-Heads": _given("header", "X-Heads", HEADS, of_several),
        "query_fpir": _given("query", "fpir", FALSE_ALARMS),
        "query_min_score": _given("query", "min_score", MIN_SCORE),
        "X-Fpir": _given("header", "X-Fpir", FALSE_ALARMS),
        "X-Min-Score": _given("header", "X-Min-Score", MIN_SCORE),
    }
    clip = {"clip": _in_path("clip", STRING, "Name of a file, from `/page.json`.")} if page else {}
    return {
        **clip,
        "model": _in_path("model", ref("ModelName"), "Name of a model."),
        "version": _in_path("version", version, "One of the model's versions; the default one elsewhere."),
        "path_top_k": _in_path("top_k", TOP_K),
        "path_function_to_apply": _in_path("function_to_apply", FUNCTION, FROM_LOGITS),
        "query_top_k": _given("query", "top_k", TOP_K),
        "query_function_to_apply": _given("query", "function_to_apply", FUNCTION, FROM_LOGITS),
        "X-Top-K": _given("header", "X-Top-K", TOP_K, "Under the body's and the path's `top_k`, over the query's."),
        "X-Function-To-Apply": _given("header", "X-Function-To-Apply", FUNCTION, "As `X-Top-K` for the other option."),
        "query_output": _given("query", "output", OUTPUT, AS_WHAT),
        "X-Output": _given("header", "X-Output", OUTPUT, AS_WHAT),
        **{name: others[name] for name in some},
        "query_windows": _given("query", "windows", WINDOW),
        "query_hop": _given("query", "hop", HOP),
        "X-Windows": _given(
            "header", "X-Windows", {"type": "string", "examples": ["3", "3;hop=1.5"]}, "As `windows` and `hop`."
        ),
        "X-Request-Timeout": _given(
            "header",
            "X-Request-Timeout",
            {"type": "number", "exclusiveMinimum": 0},
            "Seconds: a request that is still queued by then is answered 504 and not processed.",
        ),
        "Content-Encoding": _given(
            "header",
            "Content-Encoding",
            ref("ContentCoding"),
            f"How the body is compressed; it may have {MAX_INFLATED_BYTES:,} bytes inside.",
        ),
        JSON_LENGTH: _given(
            "header", JSON_LENGTH, INTEGER, "Bytes of JSON in the body, where binary tensors follow; 0 where it is one "
            "audio file.",
        ),
        "X-Request-Id": _given(
            "header", "X-Request-Id", STRING, "Repeated in the answer and in the logs, cut to 64 characters."
        ),
        "traceparent": _given("header", "traceparent", STRING, "W3C trace context: ids for the logs and the spans."),
    }  # fmt: skip


def _in_path(name: str, schema: Schema, description: str = "") -> dict[str, Any]:
    return {**_given("path", name, schema, description), "required": True}


def _given(place: str, name: str, schema: Schema, description: str = "") -> dict[str, Any]:
    described = description or schema["description"]
    return {"name": name, "in": place, "description": described, "schema": _plain(schema)}


def _plain(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "description"}


def references(*names: str) -> list[dict[str, str]]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


OF_EVERY_REQUEST = ("X-Request-Id", "traceparent")
OF_CLIPS = (
    *("query_top_k", "query_function_to_apply", "X-Top-K", "X-Function-To-Apply", "query_output", "X-Output"),
    *("query_windows", "query_hop", "X-Windows", "X-Request-Timeout", "Content-Encoding", *OF_EVERY_REQUEST),
)

OF_ANSWERS: dict[str, tuple[Schema, str]] = {
    "X-Request-Id": (STRING, "The request's id, in the logs too."),
    "X-Model-Name": (STRING, "The model that answered."),
    "X-Model-Version": (STRING, "Its version."),
    "X-Audio-Seconds": (NUMBER, "Decoded seconds of all clips of the request, or of all windows."),
    "X-Audio-Skipped-Frames": (INTEGER, "Damaged frames that were left out."),
    "X-Batch-Size": (INTEGER, "Requests that were processed together."),
    "Server-Timing": (STRING, "`queue`, `decode` and `inference` in milliseconds."),
    JSON_LENGTH: (INTEGER, "Bytes of JSON, after which the binary tensors follow."),
    "Retry-After": (INTEGER, "Seconds after which to try again."),
    "RateLimit-Policy": (STRING, "What the caller may send, where it has a share."),
    "RateLimit": (STRING, "What is left of that."),
    "WWW-Authenticate": (STRING, "`Bearer`"),
}  # fmt: skip
OF_SHARES = ("RateLimit-Policy", "RateLimit")
OF_WORKERS = (
    *("X-Request-Id", "X-Model-Name", "X-Model-Version", "X-Audio-Seconds", "X-Audio-Skipped-Frames"),
    *("X-Batch-Size", "Server-Timing", *OF_SHARES),
)


def headers(tokens: bool) -> dict[str, Any]:
    """The headers of answers by their names."""
    return {
        name: {"description": told, "schema": schema}
        for name, (schema, told) in OF_ANSWERS.items()
        if tokens or name != "WWW-Authenticate"
    }


def header_references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
