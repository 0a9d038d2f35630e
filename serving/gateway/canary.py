"""The share of a model's requests that the gateway sends to another version than the default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bundle import private

FILE = "canary"


class Weights:
    """The file that serving/gateway/canary.lua reads at every request: one line a version, `NAME VERSION PERCENT`.

    Requests that name a version are not affected; the rest, up to 100 percent, goes to the default.

    Args:
        run: the server's folder.
    """

    def __init__(self, run: Path) -> None:
        self.file = run / FILE

    def of(self, model: str) -> dict[str, int]:
        """A model's canaries: percent by version."""
        shares = (line.split(" ") for line in self._lines())
        return {version: int(percent) for name, version, percent in shares if name == model}

    def set(self, model: str, percent: Mapping[str, int]) -> None:
        """Replace a model's shares atomically."""
        self._write(model, [f"{model} {version} {share}" for version, share in percent.items()])

    def remove(self, model: str) -> None:
        """Send all of a model's requests to its default version."""
        self._write(model, [])

    def _write(self, model: str, lines: list[str]) -> None:
        kept = [line for line in self._lines() if line.split(" ")[0] != model]
        private.write(self.file, "".join(f"{line}\n" for line in kept + lines))

    def _lines(self) -> list[str]:
        return self.file.read_text("ascii").splitlines() if self.file.exists() else []


def forget(run: Path) -> None:
    """Drop the shares of a former server: its versions ended with it."""
    (run / FILE).unlink(missing_ok=True)
