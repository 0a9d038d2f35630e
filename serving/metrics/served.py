"""Which models and versions there are: the only names that become labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MOST_VERSIONS = 8  # of a model; a roll-out has two at a time


class Served:
    """The models of one server and the versions of each that were last seen.

    Args:
        versions: at the start, by model. The models stay; versions come and go with roll-outs.
    """

    def __init__(self, versions: Mapping[str, Sequence[str]]) -> None:
        self._versions = {model: tuple(found) for model, found in versions.items()}

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._versions)

    def seen(self, model: str, versions: Sequence[str]) -> None:
        """What the server says now; the latest if it is more than is kept."""
        self._versions[model] = tuple(versions)[-MOST_VERSIONS:]

    def has(self, model: str, version: str) -> bool:
        return version in self._versions.get(model, ())
