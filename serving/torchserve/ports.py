"""Loopback ports for one TorchServe."""

from __future__ import annotations

from dataclasses import dataclass, fields

from serving.host import ports


@dataclass(frozen=True)
class Ports:
    """The four ports of one TorchServe, all on loopback."""

    inference: int
    metrics: int
    grpc_inference: int
    grpc_management: int

    @classmethod
    def free(cls) -> Ports:
        return cls(*ports.free(len(fields(cls))))

    def taken(self) -> list[int]:
        """The ports that another process listens on."""
        own = [getattr(self, field.name) for field in fields(self)]
        return [port for port in own if ports.is_taken(port)]
