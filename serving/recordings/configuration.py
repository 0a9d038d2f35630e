"""What the splitter is started with: one JSON file, which the service writes and the process reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from speaker_id.settings import Settings

from bundle import private
from bundle.spec import ModelSpec

FILE = "splitter.json"  # beside its socket
COUNTS = "/counts"  # no path of a request: the gateway has answered what is not inference


@dataclass(frozen=True)
class Served:
    """One model, as it was started: a version that a roll-out brings may have other limits, which its workers hold.

    Attributes:
        settings: limits on a request, and the model's heads.
        workers: how many groups can be computed at the same time.
    """

    settings: Settings
    workers: int


@dataclass(frozen=True)
class Configuration:
    """What one splitter is started with.

    Attributes:
        listen: path of the socket on which the gateway asks it.
        inner: path of the gateway's inner listener.
        models: by name.
        route_seconds: from a request's whole arrival to its whole answer.
        recording_bytes: most bytes of a recording, which is written to the disk while it is received.
    """

    listen: Path
    inner: Path
    models: Mapping[str, Served]
    route_seconds: int
    recording_bytes: int

    def write(self) -> Path:
        """Write it beside the socket; the file for the process's command line."""
        file = self.listen.with_name(FILE)
        models = {
            name: {"settings": served.settings.model_dump(mode="json"), "workers": served.workers}
            for name, served in self.models.items()
        }
        content = {
            "listen": str(self.listen),
            "inner": str(self.inner),
            "models": models,
            "route_seconds": self.route_seconds,
            "recording_bytes": self.recording_bytes,
        }
        private.write(file, json.dumps(content, indent=2))
        return file

    @classmethod
    def read(cls, file: Path) -> Configuration:
        """The inverse of `write`."""
        content = json.loads(file.read_bytes())
        return cls(
            listen=Path(content["listen"]),
            inner=Path(content["inner"]),
            models={
                name: Served(Settings.model_validate(served["settings"]), served["workers"])
                for name, served in content["models"].items()
            },
            route_seconds=content["route_seconds"],
            recording_bytes=content["recording_bytes"],
        )


def models_of(specs: Iterable[ModelSpec]) -> dict[str, Served]:
    """The models that a server is started with."""
    return {spec.name: Served(spec.speaker_id, spec.torchserve.maxWorkers) for spec in specs}
