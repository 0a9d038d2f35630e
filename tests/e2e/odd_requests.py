"""Odd but legal requests of every protocol that the port speaks, each with the answer that it deserves."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

SERVICE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/"
HEALTH = "/grpc.health.v1.Health/"
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Case:
    """One request and what is expected of its answer: status and code, which None stands for if it is no error."""

    line: str
    status: int
    code: str | None = None
    headers: str = ""
    body: bytes = b""
    version: str = "1.1"

    def __str__(self) -> str:
        return f"{self.version} {self.line[:50]} {self.headers[:40]!r}"


CLIP = "POST /predictions/stub"
FORM = "content-type: application/x-www-form-urlencoded"
LONG = "a" * 3900
H2C = "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk"
WEBSOCKET = "upgrade: websocket\r\nconnection: upgrade"

CASES = [
    # methods
    *(Case(f"{method} /ping", 200) for method in ("GET", "HEAD")),
    *(Case(f"{method} /v2/health/ready", 200) for method in ("GET", "HEAD")),
    *(Case(f"{method} /v2/models/stub", 200) for method in ("GET", "HEAD")),
    *(Case(f"{method} {path}", 200) for method in ("GET", "HEAD") for path in ("/", "/v1", "/v1/models")),
    Case("GET /v2/models/", 200),
    *(Case(f"GET /v2/models/{tail}/config", 404, "model_not_found") for tail in ("no", "stub/versions/9")),
    Case("GET /v2/models/stub/config", 404, "not_found"),  # that of a model which make serve started is known
    *(Case(f"POST {path}", 405, "method_not_allowed") for path in ("/v1", "/v1/models", "/v2/models")),
    *(Case(f"{method} /predictions/stub", 405, "method_not_allowed") for method in ("GET", "HEAD", "DELETE", "PATCH")),
    *(Case(f"{method} /predictions/stub", 405, "method_not_allowed") for method in ("OPTIONS", "TRACE")),
    *(Case(f"{method} /ping", 405, "method_not_allowed") for method in ("POST", "PUT", "DELETE", "OPTIONS")),
    Case("POST /v1/models/stub", 405, "method_not_allowed", body=b"abc"),
    *(Case("CONNECT any:1", 405, "method_not_allowed", version=version) for version in ("1.0", "1.1")),
    *(Case("OPTIONS *", 405, "method_not_allowed", version=version) for version in ("1.0", "1.1", "2")),
    Case("OPTIONS /nothing", 404, "not_found"),
    Case("PUT /predictions/stub", 200, body=b"abc"),
    Case("POST /ping/x", 404, "not_found"),
    # spellings of paths
    *(Case(f"POST /predictions/stub{end}", 200, body=b"abc") for end in ("/", "/1.0", "/1.0/", "//", "/1.0/top_k/3/")),
    *(Case(f"POST /v1/models/stub{end}", 200, body=b"abc") for end in (":predict", "%3Apredict", "%3apredict/")),
    *(Case(f"POST /v2/models/{tail}", 200, body=b"abc") for tail in ("stub/infer", "stub/infer/", "s%74ub/infer")),
    Case("POST /v2/models/stub/versions/1.0/infer", 200, body=b"abc"),
    Case("POST /v2/models/stub/versions/9/infer", 404, "model_not_found", body=b"abc"),
    Case("POST /v2/models/stub/versions/x/infer", 404, "model_not_found", body=b"abc"),
    *(Case(f"POST /predictions/{tail}", 404, "model_not_found", body=b"abc") for tail in ("no", "stub/9", "stub/9.9")),
    *(Case(f"POST /predictions{tail}", 404, "not_found", body=b"abc") for tail in ("", "/", "//", "/a%20b", "/stub/x")),
    *(Case(f"POST /predictions/stub{tail}", 400, "malformed_request", body=b"abc") for tail in ("%zz", "%", "%2f")),
    Case("POST /v1/models/:predict", 404, "not_found", body=b"abc"),
    Case("POST /v1/models/stub:explain", 404, "not_found", body=b"abc"),
    Case("POST /v2/models//infer", 405, "method_not_allowed", body=b"abc"),  # the metadata of a model named infer
    *(Case(f"GET {path}", 200) for path in ("/ping/", "/v2", "/v2/", "/v2/models/stub/", "/v2/health/live/", "/ping?")),
    *(Case(f"GET /v2/models/{tail}", 404, "model_not_found") for tail in ("no", "no/ready", "stub/versions/9/ready")),
    *(Case(f"GET {path}", 404, "not_found") for path in ("/models", "/metrics", "/v2/health", "/v2/models/s/x")),
    Case(f"POST /predictions/{LONG}{LONG}", 414, "path_too_long", body=b"abc"),
    Case(f"POST /predictions/stub?{LONG}{LONG}", 414, "path_too_long", body=b"abc"),
    Case(f"POST /predictions/stub?{LONG}", 200, body=b"abc"),
    Case(f"GET /{LONG}", 404, "not_found"),
    # headers
    *(Case(CLIP, 200, headers=f"expect: {value}", body=b"abc") for value in ("something", "200-ok", "")),
    *(Case(CLIP, 200, headers=f"content-type: {kind}", body=b"\xff\xfe") for kind in ("text/plain", "x", "")),
    Case(CLIP, 200, headers=FORM, body=b"a=b"),
    Case(CLIP, 200, headers="content-type: application/json", body=b"{"),
    Case(CLIP, 200, headers=f"cookie: {LONG * 10}", body=b"abc"),
    Case(CLIP, 200, headers=f"x-request-id: {LONG}", body=b"abc"),
    *(
        Case(CLIP, 400, "malformed_request", headers=f"content-type: {one}\r\ncontent-type: {other}", body=b"abc")
        for one, other in (("audio/wav", "audio/wav"), ("multipart/form-data; boundary=a", "a/b"))
    ),
    Case(CLIP, 200, headers='content-type: multipart/mixed; boundary="a,b/c"', body=b"abc"),
    Case(CLIP, 200, headers=f"tracestate: {LONG}", body=b"abc"),
    Case(CLIP, 431, "headers_too_large", headers=f"x-top-k: {LONG * 2}", body=b"abc"),
    Case(CLIP, 431, "headers_too_large", headers=f"cookie: {LONG * 20}", body=b"abc"),
    Case(CLIP, 431, "headers_too_large", headers="\r\n".join(f"x-{n}: 1" for n in range(120)), body=b"abc"),
    Case(CLIP, 200, headers=H2C, body=b"abc"),
    # whoever does not speak the other protocol goes on in this one (RFC 9110, 7.8)
    Case(CLIP, 200, headers=WEBSOCKET, body=b"abc"),
    Case(CLIP, 200, headers=f"{WEBSOCKET}\r\ntransfer-encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
    Case("GET /ping", 200, headers=WEBSOCKET),
    Case("GET /nothing", 404, "not_found", headers="upgrade: anything/7\r\nconnection: upgrade"),
    Case(CLIP, 200, headers="te: trailers\r\nx-forwarded-for: 1.2.3.4", body=b"abc"),
    Case(CLIP, 200, headers="accept-encoding: gzip, br\r\naccept: text/html", body=b"abc"),
    # bodies
    Case(CLIP, 200, headers="transfer-encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
    Case(CLIP, 200, headers="transfer-encoding: chunked", body=b"3;x=y\r\nabc\r\n0\r\nx-trailer: 1\r\n\r\n"),
    *(
        Case(CLIP, 400, "malformed_request", headers=f"transfer-encoding: {coding}", body=b"abc")
        for coding in ("gzip, chunked", "gzip", "x")
    ),
    Case(CLIP, 400, "malformed_request", headers="content-length: x"),
    *(Case(f"{method} /ping", 413, "request_too_large", body=b"abc") for method in ("GET", "HEAD")),
    Case("GET /v2/models/stub", 413, "request_too_large", body=b"abc"),
    Case("GET /nothing", 404, "not_found", body=b"abc"),
    Case("GET /ping", 200, headers="transfer-encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
    # HTTP/1.0, with and without a host
    *(Case(line, 200, version="1.0") for line in ("GET /ping", "HEAD /v2/health/ready", "GET /v2/models/stub")),
    Case(CLIP, 200, body=b"abc", version="1.0"),
    Case(CLIP, 200, headers="host: any\r\nconnection: keep-alive", body=b"abc", version="1.0"),
    Case("GET /nothing", 404, "not_found", version="1.0"),
    Case("GET /predictions/stub", 405, "method_not_allowed", version="1.0"),
    # HTTP/2
    *(Case(line, 200, version="2") for line in ("GET /ping", "HEAD /ping", "GET /v2/models/stub/versions/1.0/ready")),
    *(Case(line, 200, body=b"abc", version="2") for line in (CLIP, f"{CLIP}/?a", "POST /v1/models/stub%3apredict")),
    Case(CLIP, 200, headers="expect: x\r\nte: trailers", body=b"abc", version="2"),
    Case("LIST /predictions/stub", 405, "method_not_allowed", version="2"),
    Case("GET /ping", 413, "request_too_large", body=b"abc", headers="content-length: 3", version="2"),
    Case("GET /ping", 200, body=bytes(64), version="2"),
    Case(f"POST /predictions/{LONG}{LONG}", 414, "path_too_long", version="2"),
    Case(CLIP, 431, "headers_too_large", headers=f"x-top-k: {LONG * 2}", version="2"),
    Case("POST /predictions/stub%zz", 400, "malformed_request", version="2"),
    # gRPC's path by another type, and its type where nothing of it is
    Case(f"POST {SERVICE}Predictions", 404, "not_found", body=b"abc"),
    Case(f"GET {SERVICE}Ping", 404, "not_found"),
    *(
        Case(f"POST {SERVICE}{method}", 404, "not_found", headers=f"content-type: {kind}", body=b"abc")
        for method in ("Ping", "Predictions")
        for kind in ("application/grpc-web", "Application/GRPC", "application/grpc;a=b")
    ),
    Case(f"POST {HEALTH}Check", 404, "not_found", headers="content-type: APPLICATION/grpc", body=bytes(5)),
    Case(CLIP, 200, headers="content-type: Application/grpc+proto", body=b"abc"),
]  # fmt: skip


def message(
    model: bytes = b"stub", data: bytes = b"abc", version: bytes = b"", sequence: bytes = b""
) -> bytes:
    """A PredictionsRequest."""
    given = field_of(1, b"data") + field_of(2, data)
    fields = {1: model, 2: version, 3: given, 4: sequence}
    return b"".join(field_of(number, value) for number, value in fields.items() if value)


def field_of(number: int, value: bytes) -> bytes:
    length, left = b"", len(value)
    while left > 127:
        length, left = length + bytes([left & 127 | 128]), left >> 7
    return bytes([number << 3 | 2]) + length + bytes([left]) + value


@dataclass(frozen=True)
class Call:
    """One gRPC call and the status and code of its answer; the code is None for OK."""

    method: str
    status: grpc.StatusCode
    code: str | None = None
    messages: tuple[bytes, ...] = (b"",)
    coding: grpc.Compression = grpc.Compression.NoCompression
    timeout: float = 60.0
    metadata: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.method.removeprefix(SERVICE)} {self.status.name} {str(self.messages[:1])[:30]}"


OK, UNIMPLEMENTED, INVALID = (
    grpc.StatusCode.OK,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INVALID_ARGUMENT,
)
PREDICTIONS = f"{SERVICE}Predictions"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
CALLS = [
    Call(f"{SERVICE}Ping", OK),
    Call(PREDICTIONS, OK, messages=(message(),)),
    Call(f"{PREDICTIONS}/", OK, messages=(message(),)),
    Call(PREDICTIONS, OK, messages=(message(version=b"1.0"),)),
    Call(PREDICTIONS, OK, messages=(message(sequence=b"s"),)),
    Call(PREDICTIONS, grpc.StatusCode.NOT_FOUND, "model_not_found", (message(b"nobody"),)),
    Call(PREDICTIONS, grpc.StatusCode.NOT_FOUND, "model_not_found", (message(version=b"9"),)),
    Call(PREDICTIONS, INVALID, "malformed_request", (message(b""),)),
    Call(PREDICTIONS, INVALID, "malformed_request", (b"\xff\xff\xff",)),
    Call(PREDICTIONS, INVALID, "malformed_request", (message(), message())),
    Call(PREDICTIONS, INVALID, "malformed_request", ()),
    Call(PREDICTIONS, grpc.StatusCode.INTERNAL, "internal_error", (message(data=b"raise"),)),
    Call(PREDICTIONS, OK, messages=(message(data=bytes(32 * MEBIBYTE - 40)),)),
    Call(PREDICTIONS, grpc.StatusCode.RESOURCE_EXHAUSTED, "request_too_large", (message(data=bytes(40 * MEBIBYTE)),)),
    Call(PREDICTIONS, OK, messages=(message(),), coding=grpc.Compression.Gzip),
    Call(PREDICTIONS, UNIMPLEMENTED, "unsupported_coding", (message(),), grpc.Compression.Deflate),
    Call(PREDICTIONS, INVALID, "malformed_request", (message(data=bytes(60 * MEBIBYTE)),), grpc.Compression.Gzip),
    Call(PREDICTIONS, grpc.StatusCode.DEADLINE_EXCEEDED, "timeout", (message(data=b"sleep 2"),), timeout=0.5),
    Call(PREDICTIONS, OK, messages=(message(),), metadata=(("cookie", LONG * 5),)),
    Call(f"{SERVICE}StreamPredictions", UNIMPLEMENTED, "not_found", (message(),)),
    Call(f"{SERVICE}StreamPredictions2", UNIMPLEMENTED, "not_found", (message(sequence=b"abc"),)),
    Call(f"{SERVICE}predictions", UNIMPLEMENTED, "not_found", (message(),)),
    Call("/org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels", UNIMPLEMENTED, "not_found"),
    Call("/inference.GRPCInferenceService/ServerLive", UNIMPLEMENTED, "not_found"),
    *(
        Call(MODEL_INFER, INVALID, "malformed_request", (given,))
        for given in (b"", b"\xff" * 50, b"\x0a\x7fa", b"\x1a\x00")
    ),
    Call(MODEL_INFER, INVALID, "malformed_request", (message(), message())),
    Call(MODEL_INFER, INVALID, "malformed_request", ()),
    Call(MODEL_INFER, grpc.StatusCode.NOT_FOUND, "model_not_found", (message(b"nobody"),)),
    Call(MODEL_INFER, grpc.StatusCode.NOT_FOUND, "model_not_found", (message(version=b"9"),)),
    Call(MODEL_INFER, grpc.StatusCode.NOT_FOUND, "model_not_found", (message(b"stub/../other"),)),
    Call(MODEL_INFER, grpc.StatusCode.RESOURCE_EXHAUSTED, "request_too_large", (message(data=bytes(40 * MEBIBYTE)),)),
    Call(MODEL_INFER, UNIMPLEMENTED, "unsupported_coding", (message(data=bytes(1000)),), grpc.Compression.Gzip),
    Call(f"{HEALTH}Check", OK),
    Call(f"{HEALTH}Check/", OK, metadata=(("x-serving", "no"), ("x-anonymous", "yes"))),
    Call(f"{HEALTH}Check", OK, messages=(field_of(1, b"stub"),), metadata=(("x-anonymous", "yes"),)),
    Call(f"{HEALTH}Check", grpc.StatusCode.NOT_FOUND, "model_not_found", (field_of(1, b"nobody"),)),
    Call(f"{HEALTH}Check", grpc.StatusCode.NOT_FOUND, "model_not_found", (field_of(1, b'"\n' * 150),)),
    Call(f"{HEALTH}Check", INVALID, "malformed_request", (b"\xff\xff\xff",)),
    Call(f"{HEALTH}Check", INVALID, "malformed_request", (b"\x0a\x05abc",)),
    Call(f"{HEALTH}Check", INVALID, "malformed_request", (b"", b"")),
    Call(f"{HEALTH}Check", INVALID, "malformed_request", ()),
    Call(f"{HEALTH}Check", INVALID, "malformed_request", (field_of(1, b"a" * 999),), grpc.Compression.Gzip),
    # who sends no token may ask too: no more than a name is held
    *(
        Call(f"{HEALTH}{check}", grpc.StatusCode.RESOURCE_EXHAUSTED, "request_too_large", (bytes(size),))
        for check in ("Check", "Check/")
        for size in (1024, 2 * MEBIBYTE)
    ),
    Call(f"{HEALTH}Check", INVALID, "malformed_request", (bytes(1000),)),
    Call(f"{HEALTH}Watch", UNIMPLEMENTED, "not_found"),
    *(
        Call(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo", UNIMPLEMENTED, "not_found")
        for version in ("v1", "v1alpha")
    ),
    Call("/predictions/stub", UNIMPLEMENTED, "not_found"),
]  # fmt: skip
