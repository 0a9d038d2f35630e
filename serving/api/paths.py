"""Every path that the gateway routes, with what may be sent to it and what it may answer."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from serving.api import failures
from serving.api.parameters import (
    JSON_LENGTH,
    OF_CLIPS,
    OF_EVERY_REQUEST,
    OF_WORKERS,
    header_references,
    references,
)
from serving.api.requests import Schema, ref
from serving.gateway import static
from serving.gateway.options import GatewayOptions

DESCRIPTION, PAGE = "/openapi.json", "/docs"
AUDIO, V1, V2, HEALTH, ABOUT = "Audio", "KServe v1", "Open Inference v2", "Health", "Description"
TRIAL = "Page"
TAGS = {
    AUDIO: "Send a clip in any form; the content decides which form it is, and the answer has the same.",
    V1: "KServe's protocol v1.",
    V2: "The Open Inference Protocol, KServe's v2.",
    HEALTH: "Asked with GET or HEAD, without a body. Probes that name no model need no token.",
    ABOUT: "This description. It needs no token, since it names no model where tokens are asked for.",
    TRIAL: "On which a voice is tried in a browser, at `/`, and what it asks for.",
}
VERSIONED = "/predictions/{model}/{version}"


class Clips(NamedTuple):
    """A path that clips are sent to, with POST or PUT.

    Attributes:
        path: template of the path.
        name: of the operation.
        tag: its group.
        summary: in a few words.
        parameters: those of the path.
        bodies: content type → schema.
        answer: name of the answer's schema; several where the request's form decides.
    """

    path: str
    name: str
    tag: str
    summary: str
    parameters: tuple[str, ...]
    bodies: dict[str, Schema]
    answer: tuple[str, ...]


class Question(NamedTuple):
    """A path that is asked with GET or HEAD.

    Attributes:
        path, name, tag, summary, parameters: as of `Clips`.
        answer: name of the schema of a 200.
        otherwise: of a 503's, beside an error's.
        open: whether no token is asked for.
        kind: content type of the answer, if it is not JSON.
    """

    path: str
    name: str
    tag: str
    summary: str
    parameters: tuple[str, ...] = ()
    answer: str = ""
    otherwise: str = ""
    open: bool = False
    kind: str = "application/json"


V1_JSON = {"application/json": ref("V1Request")}
BINARY: Schema = {"type": "string", "format": "binary"}
TEXT: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
V2_BODIES = {
    "application/json": ref("V2Request"),
    "application/octet-stream": {
        **BINARY,
        "description": "the same JSON, and after it the bytes of its binary tensors",
    },
}
ANY_FORM = {
    "application/octet-stream": {
        **BINARY,
        "description": "an audio file, of this or any other content type",
    },
    "multipart/form-data": ref("Form"),
    "application/json": {"anyOf": [ref("InferenceApiRequest"), ref("V1Request"), ref("V2Request")]},
}
ANY_ANSWER = ("Answer", "V1Answer", "V2Answer", "Recording")
OF_A_MODEL, OF_A_VERSION = ("model",), ("model", "version")
TOP_K, FUNCTION = "top_k/{top_k}", "function_to_apply/{function_to_apply}"

CLIPS = (
    Clips("/predictions/{model}", "identify", AUDIO, "Identify a clip", OF_A_MODEL, ANY_FORM, ANY_ANSWER),
    Clips(VERSIONED, "identifyWithVersion", AUDIO, "With one version", OF_A_VERSION, ANY_FORM, ANY_ANSWER),
    Clips(
        f"{VERSIONED}/{TOP_K}", "identifyTopK", AUDIO, "With top_k in the path",
        (*OF_A_VERSION, "path_top_k"), ANY_FORM, ANY_ANSWER,
    ),
    Clips(
        f"{VERSIONED}/{FUNCTION}", "identifyWithFunction", AUDIO, "With function_to_apply in the path",
        (*OF_A_VERSION, "path_function_to_apply"), ANY_FORM, ANY_ANSWER,
    ),
    Clips(
        f"{VERSIONED}/{TOP_K}/{FUNCTION}", "identifyTopKWithFunction", AUDIO, "With both options in the path",
        (*OF_A_VERSION, "path_top_k", "path_function_to_apply"), ANY_FORM, ANY_ANSWER,
    ),
    Clips("/", "identifyFirst", AUDIO, "With the first model", (), ANY_FORM, ANY_ANSWER),
    Clips("/invocations", "invoke", AUDIO, "As /", (), ANY_FORM, ANY_ANSWER),
    Clips("/v1/models/{model}:predict", "predict", V1, "Identify clips", OF_A_MODEL, V1_JSON, ("V1Answer",)),
    Clips("/v2/models/{model}/infer", "infer", V2, "Identify clips", OF_A_MODEL, V2_BODIES, ("V2Answer",)),
    Clips(
        "/v2/models/{model}/versions/{version}/infer", "inferWithVersion", V2, "With one version",
        OF_A_VERSION, V2_BODIES, ("V2Answer",),
    ),
)  # fmt: skip

_MODEL, _VERSION = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
QUESTIONS = (
    Question("/ping", "ping", HEALTH, "Whether every model is ready", (), "Healthy", "Unhealthy", True),
    Question(
        "/v2/health/ready", "serverReady", HEALTH, "Whether every model is ready",
        (), "ServerReady", "ServerNotReady", True,
    ),
    Question(
        "/health", "health", HEALTH, "As /v2/health/ready", (), "ServerReady", "ServerNotReady", True,
    ),
    Question(
        "/v2/health/live", "serverLive", HEALTH, "Whether the model server has answered in the last seconds",
        (), "Live", "Live", True,
    ),
    Question(
        f"{_MODEL}/ready", "modelReady", HEALTH, "Whether a model is ready",
        OF_A_MODEL, "ModelReady", "ModelNotReady",
    ),
    Question(
        f"{_VERSION}/ready", "versionReady", HEALTH, "Whether a version is ready",
        OF_A_VERSION, "ModelReady", "ModelNotReady",
    ),
    Question(
        "/v1/models/{model}", "modelReadyV1", V1, "Whether a model is ready",
        OF_A_MODEL, "ModelReady", "ModelNotReady",
    ),
    Question("/", "alive", V1, "As /v2/health/live", (), "Alive", "NotAlive", True),
    Question("/v1", "aliveV1", V1, "As /v2/health/live", (), "Alive", "NotAlive", True),
    Question("/v1/models", "modelsV1", V1, "The models that are loaded", (), "Models"),
    Question("/v2/models", "models", V2, "The models that are loaded", (), "Models"),
    Question(f"{_MODEL}/config", "modelConfiguration", V2, "A model's configuration", OF_A_MODEL, "ModelConfiguration"),
    Question(
        f"{_VERSION}/config", "versionConfiguration", V2, "The same, of the version that was served first",
        OF_A_VERSION, "ModelConfiguration",
    ),
    Question("/v2/models/stats", "statistics", V2, "What every version has counted", (), "Statistics"),
    Question(f"{_MODEL}/stats", "modelStatistics", V2, "What a model has counted", OF_A_MODEL, "Statistics"),
    Question(f"{_VERSION}/stats", "versionStatistics", V2, "What a version has counted", OF_A_VERSION, "Statistics"),
    Question("/v2", "serverMetadata", V2, "The server's name, version and extensions", (), "ServerMetadata"),
    Question(_MODEL, "modelMetadata", V2, "A model's versions, inputs and outputs", OF_A_MODEL, "ModelMetadata"),
    Question(_VERSION, "versionMetadata", V2, "The same, of a version", OF_A_VERSION, "ModelMetadata"),
    Question(DESCRIPTION, "description", ABOUT, "This description", open=True),
    Question(PAGE, "page", ABOUT, "This description as a page", open=True, kind="text/html"),
)  # fmt: skip
OF_THE_PAGE = (
    Question(static.PAGE, "trial", TRIAL, "The page, which browsers get at / too", open=True, kind="text/html"),
    Question(static.ABOUT, "trialModels", TRIAL, "What it shows of the models"),
    Question(
        f"{static.SAMPLES}/{{model}}/{{clip}}", "sample", TRIAL, "A sample clip", ("model", "clip"), kind="audio/flac"
    ),
)  # fmt: skip


def clips(options: GatewayOptions) -> tuple[Clips, ...]:
    """Those of a server, which a platform may have given more paths."""
    more = (
        Clips(path, _named(path), AUDIO, "As /", (), ANY_FORM, ANY_ANSWER) for path in options.predict_routes
    )
    return (*CLIPS, *more)


def questions(options: GatewayOptions) -> tuple[Question, ...]:
    """Those of a server, which may have a page, and more paths for its platform."""
    more = (
        Question(path, _named(path), HEALTH, "As /v2/health/ready", (), "ServerReady", "ServerNotReady", True)
        for path in options.health_routes
    )
    return (*QUESTIONS, *(OF_THE_PAGE if options.page else ()), *more)


def _named(path: str) -> str:
    return "".join(["at", *(word.capitalize() for word in re.findall("[A-Za-z0-9]+", path))])


def paths(options: GatewayOptions, optional: tuple[str, ...]) -> dict[str, Any]:
    """All of them.

    Args:
        options: what the gateway is started with.
        optional: parameters of requests that only some models have.
    """
    tokens = options.tokens is not None
    found: dict[str, Any] = {}
    for each in clips(options):
        operations = {method: _sent(each, method, tokens, optional) for method in ("post", "put")}
        found.setdefault(each.path, {"parameters": references(*each.parameters), **operations})
    for asked in questions(options):
        item = found.setdefault(asked.path, {"parameters": references(*asked.parameters)})
        item.setdefault("get", _asked(asked, tokens))
    if options.page:  # where `Accept` prefers it
        found["/"]["get"]["responses"]["200"]["content"] |= TEXT
    return {path: {key: value for key, value in item.items() if value} for path, item in found.items()}


def _sent(each: Clips, method: str, tokens: bool, optional: tuple[str, ...]) -> dict[str, Any]:
    choice: list[Schema] = [ref(name) for name in each.answer]
    answered: dict[str, Any] = {
        "description": "The answer, in the form of the request.",
        "headers": header_references(*OF_WORKERS),
        "content": {"application/json": {"schema": choice[0] if len(choice) == 1 else {"anyOf": choice}}},
    }
    given: tuple[str, ...] = (*OF_CLIPS, *optional)
    if "V2Answer" in each.answer:  # which may have binary tensors, and then has another content type
        answered["headers"] |= header_references(JSON_LENGTH)
        answered["content"]["application/octet-stream"] = {"schema": BINARY}
        given = (*given, JSON_LENGTH)
    return {
        "operationId": each.name if method == "post" else f"{each.name}Put",
        "tags": [each.tag],
        "summary": each.summary,
        "parameters": references(*given),
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": schema} for kind, schema in each.bodies.items()},
        },
        "responses": {"200": answered, **failures.of_clips(tokens)},
    }


def _asked(each: Question, tokens: bool) -> dict[str, Any]:
    failing = failures.of_questions(tokens and not each.open, bool(each.parameters))
    if each.otherwise:
        failing["503"] = {
            "description": "No, and why; or as every other 503.",
            "headers": header_references("X-Request-Id", "Retry-After"),
            "content": {"application/json": {"schema": {"anyOf": [ref(each.otherwise), ref("Error")]}}},
        }
    content: dict[str, Any] = {each.kind: {"schema": ref(each.answer) if each.answer else {"type": "object"}}}
    if each.kind != "application/json":
        content = TEXT if each.kind == "text/html" else {each.kind: {"schema": BINARY}}
    operation = {
        "operationId": each.name,
        "tags": [each.tag],
        "summary": each.summary,
        "parameters": references(*OF_EVERY_REQUEST),
        "responses": {
            "200": {
                "description": "Yes." if each.otherwise else "As asked.",
                "headers": header_references("X-Request-Id"),
                "content": content,
            },
            **failing,
        },
    }
    return {**operation, "security": []} if tokens and each.open else operation
