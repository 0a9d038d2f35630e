"""What a roll-out is about to do, in the server's folder: the next one goes on from here if it was killed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bundle import private


@dataclass(frozen=True)
class Change:
    """One model's change from the version that serves to another."""

    old: str
    new: str


class Journal:
    """The change of a model that has begun and is neither finished nor undone; a canary is one that lasts.

    Args:
        run: the server's folder.
        model: its name.
    """

    def __init__(self, run: Path, model: str) -> None:
        self.file = run / f"rollout.{model}.json"

    def read(self) -> Change | None:
        try:
            return Change(**json.loads(self.file.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, change: Change) -> None:
        private.write(self.file, json.dumps(asdict(change)))

    def end(self) -> None:
        self.file.unlink(missing_ok=True)


def forget(run: Path) -> list[str]:
    """Drop what is noted of a former server, whose versions went with it; the models that were under way."""
    found = sorted(run.glob("rollout.*.json"))
    for file in found:
        file.unlink()
    return [file.name.removeprefix("rollout.").removesuffix(".json") for file in found]
