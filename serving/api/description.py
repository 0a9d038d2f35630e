"""The description as one document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from speaker_id.settings import MAX_INFLATED_BYTES

from bundle import shipped
from bundle.spec import ModelSpec
from serving.api import answers, failures, open_inference, parameters, requests
from serving.api.paths import TAGS, TRIAL, paths
from serving.gateway.options import GatewayOptions
from serving.model_server import Upstream

VERSION = "1.0.0"  # of the API: the first number changes when a client must
OPENAPI = "3.1.0"
TITLE = "Speaker identification"
LIMITS = (
    *("max_clip_seconds", "max_request_seconds", "max_request_clips", "max_decode_seconds"),
    *("max_response_bytes", "default_top_k"),
)
# Markdown, of paragraphs, lists and `code` alone: page.py shows it too
TEXT = (
    "Audio in, ranked labels out: send an audio file to `/predictions/NAME`, or one of three JSON forms. "
    "`curl -T clip.flac HOST:PORT/predictions/NAME` is answered "
    '`[{{"label": "id10003", "score": 0.98}}, …]`.',
    "- A body may have {body:,} bytes, and {inflated:,} once its `Content-Encoding` is decoded.",
    "- Paths with `POST` take `PUT` too, those with `GET` take `HEAD`. Any other method is answered 405 with `Allow`, "
    "a path that is not here 404, both with an `Error`.",
    "- An unknown key, option or query parameter is refused by name.",
    "- gRPC is on the same port: {methods} of `{service}`, and `grpc.health.v1.Health/Check`. A failure has the same "
    "JSON in its status message.",
)


def describe(specs: Sequence[ModelSpec], options: GatewayOptions, upstream: Upstream) -> dict[str, Any]:
    """An OpenAPI document of what is served.

    Args:
        specs: the models.
        options: of the gateway. If it asks for a token no model is named, since the description itself is open.
        upstream: the model server.
    """
    tokens = options.tokens is not None
    settings = [spec.speaker_id for spec in specs]
    optional = parameters.optional(settings)
    clips = max(each.max_request_clips for each in settings)
    body = shipped.shipped("max_request_size")
    document: dict[str, Any] = {
        "openapi": OPENAPI,
        "info": {
            "title": TITLE,
            "version": VERSION,
            "description": "\n".join((TEXT[0], "", *TEXT[1:])).format(
                body=body,
                inflated=MAX_INFLATED_BYTES,
                methods=", ".join(f"`{name}`" for name in upstream.methods),
                service=upstream.service,
            ),
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name, "description": text}
            for name, text in TAGS.items()
            if options.page or name != TRIAL
        ],
        "paths": paths(options, optional),
        "components": {
            "parameters": parameters.components(options.page, optional),
            "headers": parameters.headers(tokens),
            "responses": failures.components(tokens),
            "schemas": {
                **parameters.schemas([] if tokens else [spec.name for spec in specs]),
                **requests.schemas(settings),
                **open_inference.schemas(clips, settings),
                **answers.schemas(settings),
            },
        },
    }  # fmt: skip
    if tokens:
        document["security"] = [{"token": []}]
        scheme = {"type": "http", "scheme": "bearer", "description": "One of the server's tokens."}
        document["components"]["securitySchemes"] = {"token": scheme}
    else:
        document["x-models"] = {
            spec.name: {
                "description": spec.description,
                "limits": {name: getattr(spec.speaker_id, name) for name in LIMITS},
            }
            for spec in specs
        }
    return document


def as_json(document: dict[str, Any]) -> bytes:
    """The document's bytes, the same whenever it is the same."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
