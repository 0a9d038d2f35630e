"""The errors that the gateway itself answers with, beside those of the handler: one list for documents and tests.

`envoy.yaml.j2` and the Lua scripts word the messages; tests/unit/serving/gateway/test_codes.py holds this list to them.
"""

from __future__ import annotations

from typing import NamedTuple


class GatewayError(NamedTuple):
    """One code.

    Attributes:
        status: the HTTP status, or what stands for several.
        code: as in the answer's body.
        meaning: for the table in docs/api.md.
        grpc: the status over gRPC; none where no gRPC call gets this answer.
    """

    status: str
    code: str
    meaning: str
    grpc: str = ""


# https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
GRPC_STATUSES = {
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "RESOURCE_EXHAUSTED": 8,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}

GATEWAY_ERRORS = (
    GatewayError("400", "malformed_request", "not a valid HTTP request for this server", "INVALID_ARGUMENT"),
    GatewayError(
        "401", "unauthorized", "no bearer token, or one that is not in `TOKENS=`", "UNAUTHENTICATED"
    ),
    GatewayError("404", "not_found", "nothing is served at this path", "UNIMPLEMENTED"),
    GatewayError("404", "model_not_found", "no such model, or no such version of it", "NOT_FOUND"),
    GatewayError(
        "405",
        "method_not_allowed",
        "clips are sent with POST or PUT, health and metadata are asked for with GET or HEAD; CONNECT and `OPTIONS *` "
        "are not served",
    ),
    GatewayError("408", "upload_timeout", "the request was not received in time", "DEADLINE_EXCEEDED"),
    GatewayError(
        "413",
        "request_too_large",
        "the body is larger than `max_request_size`, or a health or metadata request has one",
        "RESOURCE_EXHAUSTED",
    ),
    GatewayError("414", "path_too_long", "path and query are longer than 4,000 bytes", "RESOURCE_EXHAUSTED"),
    GatewayError(
        "429",
        "overloaded",
        "the queue is full, or the model has no worker; with `Retry-After`",
        "RESOURCE_EXHAUSTED",
    ),
    GatewayError(
        "429",
        "rate_limited",
        "the caller's share is used up; with `Retry-After`",
        "RESOURCE_EXHAUSTED",
    ),
    GatewayError(
        "431",
        "headers_too_large",
        "all headers exceed 60 KiB, those passed on 6,000 bytes, or there are more than 100",
        "RESOURCE_EXHAUSTED",
    ),
    GatewayError(
        "500",
        "internal_error",
        "the model failed on this batch, which is a bug; the server's log says why",
        "INTERNAL",
    ),
    GatewayError(
        "503",
        "unavailable",
        "the model server takes no requests at present; with `Retry-After`",
        "UNAVAILABLE",
    ),
    GatewayError("504", "timeout", "no answer in time", "DEADLINE_EXCEEDED"),
    GatewayError(
        "507",
        "worker_died",
        "two workers ended or took too long over this request, one after the other; the gateway had sent it again by "
        "itself",
        "UNAVAILABLE",
    ),
    GatewayError(
        "gRPC 12",
        "unsupported_coding",
        "the message is compressed with something other than gzip",
        "UNIMPLEMENTED",
    ),
    GatewayError("any", "gateway_error", "anything else that the gateway could not answer"),
)
