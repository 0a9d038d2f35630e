"""The description is valid OpenAPI, and names what the code names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from speaker_id import errors
from speaker_id.protocol import EMBEDDING, Payload, Space, open_inference, outputs, parse, values
from speaker_id.protocol.parse import AUDIO_PARTS, HEADERS, INFERENCE_API_KEYS, V1_KEYS
from speaker_id.settings import Settings
from speaker_id.statuses import STATUS

from bundle.spec import ModelSpec
from serving.api import failures, page
from serving.api.description import as_json, describe
from serving.api.files import files
from serving.gateway.codes import GATEWAY_ERRORS
from serving.gateway.options import GatewayOptions
from serving.gateway.tokens import Tokens
from serving.recordings.windows import FIELDS
from serving.triton.upstream import upstream as of_triton
from tests.unit.serving.gateway.configured import UPSTREAM

PLAIN = ModelSpec(name="secret", source="a/b")
HEADED = ModelSpec(
    name="intents", source="a/c", speaker_id=Settings(heads={"action": 6, "object": 14}, max_request_clips=99)
)
OPEN = ModelSpec(
    name="voices",
    source="a/d",
    speaker_id=Settings(heads={"speaker": 6, "enrolled": 4}, open_sets={"enrolled": "gallery"}),
)
OPTIONS = {
    "": GatewayOptions(8080),
    "-tokens": GatewayOptions(8080, tokens=Tokens(Path("/tokens"), ("0123456789abcdef",))),
    "-pageless": GatewayOptions(8080, page=False),
}
DEFAULT = ModelSpec(
    name="several",
    source="a/c",
    speaker_id=Settings(heads={"action": 6, "object": 14}, default_head="action"),
)
SERVED = {
    "plain": [PLAIN],
    "heads": [HEADED],
    "both": [PLAIN, HEADED],
    "open": [OPEN],
    "default": [DEFAULT],
}
DOCUMENTS = {
    f"{name}{ending}": describe(specs, options, UPSTREAM)
    for name, specs in SERVED.items()
    for ending, options in OPTIONS.items()
}
DOCUMENT = DOCUMENTS["both"]
SCHEMAS = DOCUMENT["components"]["schemas"]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in ("get", "post", "put"):
            if method in item:
                yield path, method, item[method]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_it_is_valid(document: dict[str, Any]) -> None:
    pytest.importorskip("openapi_spec_validator", reason="needs Python 3.11").validate(document)


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_component_is_used_and_every_reference_is_there(document: dict[str, Any]) -> None:
    there = {
        f"#/components/{group}/{name}"
        for group, found in document["components"].items()
        for name in found
        if group != "securitySchemes"
    }
    assert set(references(document)) == there


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations(DOCUMENT)]
    assert len(set(names)) == len(names)


def test_every_key_of_a_body_is_one_that_the_parser_knows_and_no_other() -> None:
    def keys(schema: dict[str, Any]) -> set[str]:
        assert schema["additionalProperties"] is False
        return set(schema["properties"])

    schemas = DOCUMENTS["open"]["components"]["schemas"]  # of a model that has all options
    tensors = [SCHEMAS["V2Files"], SCHEMAS["V2Waveforms"]]
    # the splitter reads the windows
    assert keys(schemas["Options"]) - {"windows"} == set(values.OPTION_NAMES) == set(HEADERS.values())
    assert keys(schemas["Windows"]) == set(FIELDS)
    assert keys(schemas["Form"]) == {*AUDIO_PARTS, *values.OPTION_NAMES} - {"body"}
    assert keys(SCHEMAS["InferenceApiRequest"]) == set(INFERENCE_API_KEYS)
    assert keys(SCHEMAS["V1Request"]) == set(V1_KEYS)
    assert keys(SCHEMAS["V2Request"]) == set(open_inference.REQUEST_KEYS)
    assert keys(schemas["V2Parameters"]) == set(open_inference.PARAMETERS)
    assert {key for each in tensors for key in keys(each)} == set(open_inference.TENSOR_KEYS)
    asked = SCHEMAS["V2WantedOutput"]
    assert keys(asked) == set(outputs.KEYS)
    assert keys(asked["properties"]["parameters"]) == set(outputs.PARAMETERS)
    parameters = {key for name in ("Files", "Waveforms") for key in keys(SCHEMAS[f"V2{name}Parameters"])}
    assert parameters == set(open_inference.TENSOR_PARAMETERS)


@pytest.mark.parametrize("form", ["InferenceApiRequest", "V1Request", "V2Request"])
def test_the_parser_takes_the_examples(form: str) -> None:
    for example in describe([PLAIN], OPTIONS[""], UPSTREAM)["components"]["schemas"][form]["examples"]:
        assert parse(Payload({"body": json.dumps(example).encode()}), Settings()).clips


def test_bounds_are_the_widest_of_the_models_served() -> None:
    assert SCHEMAS["V1Request"]["properties"]["instances"]["maxItems"] == 99
    named = SCHEMAS["V2WantedOutput"]["properties"]["name"]["enum"]
    assert set(named) == {
        *("label", "score", "action.label", "action.score", "object.label", "object.score", "embedding")
    }
    limits = {name: model["limits"]["max_request_clips"] for name, model in DOCUMENT["x-models"].items()}
    assert limits == {"secret": 64, "intents": 99}


def test_an_answer_is_a_ranking_or_one_for_each_head_as_the_models_have_it() -> None:
    answers = {
        name: document["components"]["schemas"]["Answer"]
        for name, document in DOCUMENTS.items()
        if "-" not in name
    }
    ranking, by_head, vector = (
        {"$ref": f"#/components/schemas/{name}"} for name in ("Ranking", "RankingsByHead", "Embedding")
    )
    assert answers == {
        "plain": {"oneOf": [ranking, vector]},
        "heads": {"oneOf": [by_head, vector]},
        "both": {"oneOf": [ranking, by_head, vector]},
        "open": {"oneOf": [by_head, vector]},
        "default": {"oneOf": [ranking, by_head, vector]},
    }


def test_heads_can_be_chosen_by_name_where_a_model_has_several() -> None:
    def choice(name: str) -> Any:
        return DOCUMENTS[name]["components"]["schemas"]["Options"]["properties"]["heads"]

    assert choice("plain")["type"] == "null", "whatever is given is refused"
    assert choice("heads")["anyOf"][0]["items"]["enum"] == ["action", "object", "all"]
    assert "X-Heads" not in DOCUMENTS["plain"]["components"]["parameters"]
    assert "X-Heads" in DOCUMENTS["heads"]["components"]["parameters"]


@pytest.mark.parametrize(("name", "header"), [("fpir", "X-Fpir"), ("min_score", "X-Min-Score")])
def test_thresholds_can_be_given_where_a_model_may_answer_unknown(name: str, header: str) -> None:
    closed, opened = (DOCUMENTS[each]["components"] for each in ("heads", "open"))
    for body in ("Options", "V2Parameters", "Form"):
        assert opened["schemas"][body]["properties"][name]["type"] == "number"
        assert name not in closed["schemas"][body]["properties"]
    assert not {header, f"query_{name}"} & set(closed["parameters"])
    assert {header, f"query_{name}"} <= set(opened["parameters"])


def test_an_embedding_has_the_keys_that_are_sent() -> None:
    space = Space("org/m", "c0ffee", 2)
    told = {**space.described(), EMBEDDING: [1.0, 0.0]}
    assert set(SCHEMAS["Embedding"]["properties"]) == set(SCHEMAS["Embedding"]["required"]) == set(told)
    assert set(space.described()) < set(SCHEMAS["V2Output"]["properties"]["parameters"]["properties"])


def test_every_error_that_an_operation_may_answer_is_described_with_its_code() -> None:
    document = DOCUMENTS["both-tokens"]
    described = {
        (status, code)
        for _, _, operation in operations(document)
        for status, response in operation["responses"].items()
        if "$ref" in response
        for code in document["components"]["responses"][response["$ref"].rpartition("/")[2]]["content"][
            "application/json"
        ]["examples"]
    }
    handler = {(str(status.value), error.code) for error, status in STATUS.items()}
    gateway = {
        (failures.UNFORESEEN if each.status == "any" else each.status, each.code)
        for each in GATEWAY_ERRORS
        if each.code not in failures.OF_NO_OPERATION
    }
    assert described == handler | gateway
    told = errors.MalformedRequest("x", instance=1).body() | errors.RecordingTooLong("x", seconds=1.0).body()
    assert set(SCHEMAS["Error"]["properties"]) == set(told)


def test_a_token_is_asked_for_where_the_gateway_asks_for_one() -> None:
    assert "security" not in DOCUMENT
    assert "securitySchemes" not in DOCUMENT["components"]
    document = DOCUMENTS["plain-tokens"]
    assert document["security"] == [{"token": []}]
    for path, method, operation in operations(document):
        opened = method == "get" and path in (
            "/",
            "/v1",
            "/health",
            "/ping",
            "/v2/health/ready",
            "/v2/health/live",
            "/openapi.json",
            "/docs",
            "/page",
        )
        assert (operation.get("security") == []) == opened
        assert ("401" in operation["responses"]) != opened


def test_what_a_share_leaves_stands_in_answers_about_clips_and_in_the_refusal() -> None:
    refused = failures.components(tokens=False)["TooManyRequests"]["headers"]
    answered = DOCUMENT["paths"]["/predictions/{model}"]["post"]["responses"]["200"]["headers"]
    assert {"RateLimit", "RateLimit-Policy"} <= refused.keys() & answered.keys()


def test_open_to_everyone_it_names_no_model_where_tokens_are_asked_for() -> None:
    for file in files([PLAIN], OPTIONS["-tokens"], UPSTREAM):
        assert file.public
        assert b"secret" not in file.body
    for file in files([PLAIN], OPTIONS[""], UPSTREAM):
        assert b"secret" in file.body


def test_the_page_holds_every_path_code_and_schema_and_asks_for_nothing_else() -> None:
    html = page.render(DOCUMENT)
    assert len(html.encode()) < 60_000
    for word in [*DOCUMENT["paths"], *SCHEMAS, *(error.code for error in STATUS)]:
        assert word in html, word
    for wanting in ("<script", "src=", "http://", "https://", "url(", " style="):
        assert wanting not in html, wanting


def test_it_is_the_same_bytes_for_the_same_models() -> None:
    assert as_json(describe([PLAIN], OPTIONS[""], UPSTREAM)) == as_json(
        describe([PLAIN], OPTIONS[""], UPSTREAM)
    )


def test_the_paths_that_a_platform_chooses_are_there_too() -> None:
    options = GatewayOptions(8080, health_routes=("/alive",), predict_routes=("/score", "/invocations"))
    found = describe([PLAIN], options, UPSTREAM)["paths"]
    assert set(found) - set(DOCUMENT["paths"]) == {"/alive", "/score"}
    methods = {path: set(found[path]) & {"get", "post", "put"} for path in ("/alive", "/score", "/")}
    assert methods == {"/alive": {"get"}, "/score": {"post", "put"}, "/": {"get", "post", "put"}}


def test_the_page_stands_in_it_where_there_is_one() -> None:
    plain = DOCUMENTS["plain-pageless"]
    assert set(DOCUMENTS["plain"]["paths"]) - set(plain["paths"]) == {
        *("/page", "/page.json", "/samples/{model}/{clip}"),
    }
    assert "text/html" not in plain["paths"]["/"]["get"]["responses"]["200"]["content"]


def test_it_names_the_grpc_calls_of_the_server_behind_the_gateway() -> None:
    said = DOCUMENT["info"]["description"]
    assert "`Ping`, `Predictions` of `org.pytorch.serve.grpc.inference.InferenceAPIsService`" in said
    said = describe([PLAIN], OPTIONS[""], of_triton(1, 2))["info"]["description"]
    assert "`ModelInfer` of `inference.GRPCInferenceService`" in said
    assert "pytorch" not in said
