"""What a roll-out is about to do, in the server's folder: if it is killed, the next one continues from here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bundle import BundleError, private
from serving import state


@dataclass(frozen=True)
class Change:
    """One model's change from the version that serves to another."""

    old: str
    new: str


class Journal:
    """A model's change that has started and is neither finished nor undone, such as a canary.

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


def refuse(run: Path, model: str) -> None:
    """Reject what would interfere with a model's roll-out or canary in progress.

    Args:
        run: the folder that the servers' folders are in.
        model: its name.

    Raises:
        BundleError: one is in progress on a running server.
    """
    for file, server in state.states(run):
        if server.serve.alive and (change := Journal(file.parent, model).read()):
            raise BundleError(
                f"a roll-out of {model} from {change.old} to {change.new} is in progress on {server.url}: wait until "
                f"it has ended; a canary is promoted with make rollout MODEL={model} VERSION={change.new}, or ends "
                "with ARGS=--abort"
            )


def forget(run: Path) -> list[str]:
    """Remove a former server's records, as its versions ended with it; the models whose roll-out was in progress."""
    found = sorted(run.glob("rollout.*.json"))
    for file in found:
        file.unlink()
    return [file.name.removeprefix("rollout.").removesuffix(".json") for file in found]
