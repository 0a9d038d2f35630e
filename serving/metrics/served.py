"""The models and versions that are served: only their names become labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MOST_VERSIONS = 8  # of a model; a roll-out has two at a time


class Served:
    """The models of one server, and the versions of each as last seen.

    Args:
        versions: at the start, by model. The models do not change; versions change with roll-outs.
    """

    def __init__(self, versions: Mapping[str, Sequence[str]]) -> None:
        self._versions = {model: tuple(found) for model, found in versions.items()}

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._versions)

    def seen(self, model: str, versions: Sequence[str]) -> None:
        """Set a model's versions; only the latest MOST_VERSIONS are kept."""
        self._versions[model] = tuple(versions)[-MOST_VERSIONS:]

    def has(self, model: str, version: str) -> bool:
        return version in self._versions.get(model, ())
