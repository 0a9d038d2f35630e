"""How much callers may take of the gateway, one by one and together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What serving/gateway/envoy.yaml is filled in with; it says there what too high and too low do.

    Attributes:
        handshake_seconds: until TLS is agreed upon.
        headers_seconds: from a request's first byte to the end of its headers.
        upload_seconds: from a request's first byte to its last.
        unused_seconds: that a connection may be open without a request.
        connections: that all callers may have open.
        heap_bytes: of the gateway, bodies that arrive included.
        waiting: requests on their way to TorchServe, in its queues or being answered.
    """

    handshake_seconds: int = 10
    headers_seconds: int = 10
    upload_seconds: int = 300
    unused_seconds: int = 300
    connections: int = 1024
    heap_bytes: int = 2 << 30
    waiting: int = 256
