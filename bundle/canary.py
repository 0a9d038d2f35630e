"""The share of a model's requests that the gateway sends to another version than the default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

FILE = "canary"


class Weights:
    """The file that deploy/gateway/canary.lua reads at every request: one line a version, `NAME VERSION PERCENT`.

    Requests that name a version are not concerned, and what the percentages leave of a hundred goes to the default.

    Args:
        run: the server's folder.
    """

    def __init__(self, run: Path) -> None:
        self.file = run / FILE

    def set(self, model: str, percent: Mapping[str, int]) -> None:
        """Replace a model's shares, whole or not at all."""
        self._write(model, [f"{model} {version} {share}" for version, share in percent.items()])

    def remove(self, model: str) -> None:
        """Send all of a model's requests to its default version."""
        self._write(model, [])

    def _write(self, model: str, lines: list[str]) -> None:
        kept = self.file.read_text("ascii").splitlines() if self.file.exists() else []
        kept = [line for line in kept if line.split(" ")[0] != model]
        draft = self.file.with_name(f"{FILE}.new")
        draft.write_text("".join(f"{line}\n" for line in kept + lines), "ascii")
        draft.replace(self.file)
