"""A Triton behind the gateway: answers as handler/triton_model.py and Triton do, and notes what it was asked."""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc

from serving.control import Version
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.model_server import Reply
from serving.recordings.configuration import Served
from serving.triton.upstream import upstream

LENGTH = "inference-header-content-length"
VERSIONS = {
    number: Version(
        number, (os.getpid(),), 1, wanted=1, pending=0, capacity=100, response_timeout=30, batch_delay=0.0
    )
    for number in ("1.0", "2.0")
}


class Loaded:
    """What is loaded."""

    def within(self, _: float) -> Loaded:
        return self

    def models(self) -> list[str]:
        return ["demo"]

    def default(self, _: str) -> str:
        return "1.0"

    def versions(self, _: str) -> dict[str, Version]:
        return VERSIONS


@dataclass
class Double:
    """A Triton with two versions of one model, of which the older is the default, and what it was asked."""

    run: Path
    title: str = "Triton"
    models: tuple[str, ...] = ("demo",)
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
    before: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    failure: tuple[grpc.StatusCode, str] | None = None
    failures: list[tuple[grpc.StatusCode, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.upstream = upstream(*ports.free(2))
        self.management = Loaded()

    def probe(self, *_: str) -> Double:
        return self

    def reply(self) -> Reply:
        return Reply(200, answered=True)

    def close(self) -> None: ...

    def answers(self, status: str, headers: dict[str, str], body: bytes) -> None:
        """From now on, this from the model, as the adapter has it in Triton's answer."""
        lines = [status, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        element = "\n".join(lines).encode() + body
        head = b'{"outputs":[{"name":"answer"}]}'
        content = head + struct.pack("<I", len(element)) + element
        self.answer = (200, {"Content-Type": "application/octet-stream", LENGTH: str(len(head))}, content)

    def fails(self, status: int, text: str, times: int | None = None) -> None:
        """This error of Triton's own: so many times before the answer, or from now on."""
        error = (status, {"Content-Type": "text/plain"}, json.dumps({"error": text}).encode())
        if times is None:
            self.answer = error
        else:
            self.before += [error] * times


def handler_of(double: Double) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            double.seen.append((self.command, self.path, headers, body))
            status, answered, content = double.before.pop() if double.before else double.answer
            self.send_response(status)
            for name, value in {**answered, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST

        def log_message(self, *_: object) -> None: ...

    return Handler


class Calls(grpc.GenericRpcHandler):
    def __init__(self, double: Double) -> None:
        self.double = double

    def service(self, details: Any) -> Any:
        def call(message: bytes, context: grpc.ServicerContext) -> bytes:
            self.double.calls.append(details.method)
            self.double.metadata = dict(details.invocation_metadata)
            if failure := self.double.failures.pop() if self.double.failures else self.double.failure:
                context.abort(*failure)
            return message

        return grpc.unary_unary_rpc_method_handler(call)


@contextmanager
def behind_gateway(run: Path, models: Mapping[str, Served] | None = None) -> Iterator[tuple[Double, Gateway]]:
    """The double, which answers HTTP and gRPC, and the gateway in front of it; `models` as the gateway takes them."""
    double = Double(run)
    http = ThreadingHTTPServer((LOOPBACK, double.upstream.http), handler_of(double))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    calls = grpc.server(ThreadPoolExecutor(2), handlers=[Calls(double)])
    calls.add_insecure_port(f"{LOOPBACK}:{double.upstream.grpc}")
    calls.start()
    options = GatewayOptions(ports.free(1)[0])
    try:
        with Gateway(double, options, response_timeout=30, models=models) as gateway:  # type: ignore[arg-type]
            gateway.start()
            yield double, gateway
    finally:
        calls.stop(None).wait()
        http.shutdown()
        http.server_close()
        thread.join()
