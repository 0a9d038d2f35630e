"""Loopback ports for one Triton."""

from __future__ import annotations

from dataclasses import dataclass, fields

from serving.host import ports


@dataclass(frozen=True)
class Ports:
    """The three ports of one Triton, all on loopback."""

    http: int
    grpc: int
    metrics: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*ports.free(len(fields(cls))))

    def taken(self) -> list[int]:
        """The ports that another process listens on."""
        return [port for port in (self.http, self.grpc, self.metrics) if ports.is_taken(port)]
