"""`grpc_health`, gRPC's own client of its health protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from asked import asked, tell
from grpc_health.v1 import health_pb2, health_pb2_grpc

it = asked()
address = it.url.removeprefix("http://")
channel = grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)])
health = health_pb2_grpc.HealthStub(channel)
mine = [(name.lower(), value) for name, value in it.headers.items()]


def check(service: str, metadata: Any = mine) -> str:
    answer = health.Check(health_pb2.HealthCheckRequest(service=service), metadata=metadata)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def refused(call: Callable[[], Any]) -> dict[str, str]:
    try:
        call()
    except grpc.RpcError as exc:
        return {"status": exc.code().name, "said": exc.details()}
    return {}


def watch() -> None:
    next(health.Watch(health_pb2.HealthCheckRequest(), metadata=mine))


tell({
    "server": lambda: check("", None),
    "model": lambda: check("demo"),
    "another model": lambda: refused(lambda: check("nobody")),
    "no token": lambda: refused(lambda: check("demo", None)),
    "watch": lambda: refused(watch),
})  # fmt: skip
