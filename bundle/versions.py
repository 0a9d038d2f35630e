"""Which version of a model a start serves: model.yaml's, or the one that the last roll-out promoted."""

from __future__ import annotations

from bundle import archive, archived, sources, store
from bundle.spec import ModelSpec
from bundle.terminal import say


def named(models: str) -> set[str]:
    """Names of the models in MODELS= that are given with a version."""
    found = filter(None, map(sources.VERSIONED.fullmatch, models.split()))
    return {sources.resolve(each["model"]).name for each in found}


def current(spec: ModelSpec, *, pinned: bool = False) -> ModelSpec:
    """Make sure that the store has what is to be served, and return that.

    What a roll-out promoted serves until model.yaml gets another version than it had then, so that nobody has to
    remember to write it there. Prints a line where the two differ.

    Args:
        spec: as model.yaml has it.
        pinned: its version was requested by name.
    """
    found = store.promoted(store.STORE, spec.name)
    if found and found.declared == spec.version and not pinned:
        if found.version != spec.version:
            say(
                f"{spec.name} {found.version} is served, as a roll-out promoted it; its model.yaml still has version "
                f"{spec.version} (a new version there, or `make archive`, takes effect again)"
            )
        return archived.read(store.STORE / f"{spec.name}.mar")
    if found and found.version != spec.version:
        say(
            f"{spec.name} {spec.version} is served, as requested; a roll-out had promoted {found.version}, which "
            f"is kept as {store.of_version(store.STORE, spec.name, found.version).name}"
        )
    archive.build(spec, store.STORE)
    store.forget(store.STORE, spec.name)
    # which heads the answers have, and which of them may say unknown, stands in the archive
    several = spec.heads or spec.gallery or spec.unknown
    return archived.read(store.STORE / f"{spec.name}.mar") if several else spec
