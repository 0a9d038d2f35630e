"""OTLP= → the OpenTelemetry collector that the gateway sends its spans to; W3C `traceparent` in and out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bundle import BundleError
from serving.host import ports

HOST = re.compile(r"[A-Za-z0-9.-]*[A-Za-z0-9][A-Za-z0-9.-]*")


@dataclass(frozen=True)
class Collector:
    """Takes OTLP over HTTP, on port 4318 by convention."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read(given: str) -> Collector | None:
    """The collector of `OTLP=host:port`; None where nothing is given, and nothing is traced.

    Raises:
        BundleError: it is not a host and a port.
    """
    if not given:
        return None
    host, _, port = given.rpartition(":")
    if not HOST.fullmatch(host) or not ports.is_number(port):
        raise BundleError(
            f"OTLP={given} is not an address: write it as OTLP=127.0.0.1:4318, with a port from 1 to {ports.LAST}"
        )
    return Collector(host, int(port))
