"""Which errors an operation may answer with: the handler's and the gateway's tables, by status."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

from speaker_id import errors
from speaker_id.statuses import STATUS

from serving.api.parameters import OF_SHARES, header_references
from serving.gateway.codes import GATEWAY_ERRORS

RETRIED = ("429", "503")  # with Retry-After
# of a request without a clip, which no worker sees; 404 where it names a model, 401 where tokens are asked for
OF_ANY_REQUEST = ("400", "408", "413", "414", "431", "503")
UNAUTHORIZED = "401"
UNFORESEEN = "5XX"  # gateway_error: whatever else Envoy answers in place of a server
# of methods that a path does not have, and of gRPC
OF_NO_OPERATION = ("method_not_allowed", "unsupported_coding")


class Failure(NamedTuple):
    """One code of one status.

    Attributes:
        status: as OpenAPI has it, "415" or "5XX".
        code: as in the answer's body.
        meaning: in a few words.
    """

    status: str
    code: str
    meaning: str


def of_the_handler() -> list[Failure]:
    """What is wrong with one clip or body, by status; the meanings are those of the tree in `errors`."""
    tree = re.sub(r"\n[│ ]{8,}(?=\S)", " ", errors.__doc__ or "")
    meaning = dict(re.findall(r"── (\w+) +(.+)", tree))
    found = [
        Failure(str(status.value), error.code, meaning[error.__name__]) for error, status in STATUS.items()
    ]
    return sorted(found, key=lambda failure: failure.status)


def of_the_gateway() -> list[Failure]:
    """What the gateway words, without what concerns no operation."""
    return [
        Failure(UNFORESEEN if each.status == "any" else each.status, each.code, each.meaning)
        for each in GATEWAY_ERRORS
        if each.code not in OF_NO_OPERATION
    ]


def by_status() -> dict[str, list[Failure]]:
    """All of them, a status with several codes having several."""
    found: dict[str, list[Failure]] = {}
    for failure in sorted([*of_the_handler(), *of_the_gateway()], key=lambda failure: failure.status):
        found.setdefault(failure.status, []).append(failure)
    return found


def name_of(status: str) -> str:
    """What components call a status: "UnsupportedMediaType"."""
    if status == UNFORESEEN:
        return "OtherFailure"
    return "".join(word.capitalize() for word in re.findall(r"\w+", HTTPStatus(int(status)).phrase))


def components(tokens: bool) -> dict[str, Any]:
    """The responses by their names, each with an example of every code."""
    return {name_of(status): _response(by_status()[status]) for status in _possible(tokens)}


def _possible(tokens: bool) -> list[str]:
    return [status for status in by_status() if tokens or status != UNAUTHORIZED]


def _response(failures: list[Failure]) -> dict[str, Any]:
    status = failures[0].status
    phrase = "Any other failure" if status == UNFORESEEN else HTTPStatus(int(status)).phrase
    one_each = {each.code: each for each in failures}  # the first, where handler and gateway share a code
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status in RETRIED:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    if any(it.code == "rate_limited" for it in failures):
        headers |= header_references(*OF_SHARES)
    if status == UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
    return {
        "description": "\n".join([f"{phrase}.", "", *(f"- `{it.code}`: {it.meaning}" for it in failures)]),
        "headers": headers,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "examples": {
                    code: {"value": {"error": it.meaning.replace("`", ""), "code": code}}
                    for code, it in one_each.items()
                },
            }
        },
    }


def references(statuses: Iterable[str]) -> dict[str, Any]:
    """An operation's failures."""
    return {status: {"$ref": f"#/components/responses/{name_of(status)}"} for status in statuses}


def of_clips(tokens: bool) -> dict[str, Any]:
    """Every failure of a request that carries clips."""
    return references(_possible(tokens))


def of_questions(tokens: bool, model: bool) -> dict[str, Any]:
    """Every failure of a request for health, metadata or a file.

    Args:
        tokens: whether a token is asked for.
        model: whether the path names a model.
    """
    given = [*OF_ANY_REQUEST, *([UNAUTHORIZED] if tokens else []), *(["404"] if model else [])]
    return references([*sorted(given), UNFORESEEN])
