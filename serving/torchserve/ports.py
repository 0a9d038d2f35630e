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

    @property
    def all(self) -> list[int]:
        return [getattr(self, field.name) for field in fields(self)]

    def taken(self) -> list[int]:
        """The ports that another process listens on."""
        return [port for port in self.all if ports.is_taken(port)]

    def opened(self) -> bool:
        """Whether connections to all of them are accepted."""
        return all(map(ports.accepts, self.all))
