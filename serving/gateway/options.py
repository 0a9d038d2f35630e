"""What the gateway is started with: read and checked once, by the command, and handed on as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.gateway.tls import Certificate
from serving.gateway.tokens import Tokens
from serving.gateway.tracing import Collector
from serving.host import ports
from serving.host.ports import LOOPBACK

RECORDING_BYTES = 256 << 20  # more than two hours of 16 kHz in 16 bits


@dataclass(frozen=True)
class Limits:
    """How much callers may take of the gateway, one by one and together; envoy.yaml.j2 says what a value that is too
    high or too low does.

    Attributes:
        handshake_seconds: until TLS is agreed upon.
        headers_seconds: from a request's first byte to the end of its headers.
        upload_seconds: from a request's first byte to its last.
        idle_timeout: seconds that a connection may be open without a request.
        connections: open connections, of all callers together.
        heap_bytes: memory of the gateway, request bodies that are being received included.
        max_requests: requests on their way to the model server, in its queues or being answered.
    """

    handshake_seconds: int = 10
    headers_seconds: int = 10
    upload_seconds: int = 300
    idle_timeout: int = 300
    connections: int = 1024
    heap_bytes: int = 2 << 30
    max_requests: int = 256


@dataclass(frozen=True)
class GatewayOptions:
    """Where one server is reached, by whom, and what it tells.

    Attributes:
        port: the public port.
        address: of the public port; 0.0.0.0 is every address of the machine. the model server stays on loopback.
        metrics_port, metrics_address: where Prometheus scrapes; a free port on loopback by default.
        certificate: for TLS on the public port; plain HTTP without it.
        tokens: the bearer tokens that are accepted; every caller is without them.
        share: what every address may send where there are no tokens, by shares.py's names; empty if it is not limited.
        origins: of the web pages whose scripts may call.
        page: whether browsers get a page to try a voice on at `/`.
        collector: where spans are sent; there are none without it.
        limits: how much callers may take.
        split: whether requests of many clips, and recordings, are answered in parts.
        recording_bytes: most bytes of an upload that is answered in windows.
        health_routes, predict_routes: paths of readiness and of the first model's inference, beside those of `aliases`.
    """

    port: int
    address: str = LOOPBACK
    metrics_port: int = field(default_factory=lambda: ports.free(1)[0])
    metrics_address: str = LOOPBACK
    certificate: Certificate | None = None
    tokens: Tokens | None = None
    share: Mapping[str, float] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    page: bool = True
    collector: Collector | None = None
    limits: Limits = Limits()
    split: bool = True
    recording_bytes: int = RECORDING_BYTES
    health_routes: tuple[str, ...] = ()
    predict_routes: tuple[str, ...] = ()

    @property
    def limits_callers(self) -> bool:
        """Whether it is known whose a request is, so that it can be counted and limited."""
        return self.tokens is not None or bool(self.share)

    @property
    def url(self) -> str:
        """Base address for callers on this machine, without a slash at the end."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{ports.reached_at(self.address)}:{self.port}"
