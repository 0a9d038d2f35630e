"""Which version of a model a start serves: what model.yaml says, or what the last roll-out has promoted."""

from __future__ import annotations

from bundle import archive, archived, sources, store
from bundle.sources import ModelSpec
from bundle.terminal import say


def named(models: str) -> set[str]:
    """Names of the models of MODELS= whose version is asked for there."""
    found = filter(None, map(sources.VERSIONED.fullmatch, models.split()))
    return {sources.resolve(each["model"]).name for each in found}


def current(spec: ModelSpec, *, pinned: bool = False) -> ModelSpec:
    """See that the store has what is to be served, and give that.

    What a roll-out has promoted serves until model.yaml has another version than it had then: nobody should have to
    remember to write it there. Says so where the two differ.

    Args:
        spec: as model.yaml has it.
        pinned: its version was asked for by name.
    """
    found = store.promoted(store.STORE, spec.name)
    if found and found.declared == spec.version and not pinned:
        if found.version != spec.version:
            say(
                f"{spec.name} {found.version} is served, which a roll-out has promoted; its model.yaml has version "
                f"{spec.version}, as before that (another one there, or `make archive`, takes effect again)"
            )
        return archived.read(store.STORE / f"{spec.name}.mar")
    if found and found.version != spec.version:
        say(
            f"{spec.name} {spec.version} is served, as was asked for; a roll-out had promoted {found.version}, which "
            f"is kept as {store.of_version(store.STORE, spec.name, found.version).name}"
        )
    archive.build(spec, store.STORE)
    store.forget(store.STORE, spec.name)
    return spec
