"""What a start serves after a roll-out: what was promoted, unless a version is named; and what it says about that.

That a start which follows a real roll-out does so is held by tests/e2e/test_rollout_interrupted.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bundle import archive, sources, store, versions
from bundle.spec import ModelSpec
from tests.doubles.checkpoints import write_checkpoint


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """A model whose model.yaml has version 2.0, and a store in which a roll-out has promoted 3.0 in its place."""
    monkeypatch.chdir(tmp_path)
    spec = sources.resolve(str(write_checkpoint(tmp_path / "tiny"))).model_copy(update={"version": "2.0"})
    archive.build(spec)
    later = spec.model_copy(update={"version": "3.0"})
    archive.build(later, file=store.of_version(store.STORE, spec.name, "3.0"))
    store.promote(store.STORE, spec.name, "3.0", declared="2.0")
    return spec


def served(spec: ModelSpec) -> str | None:
    return store.version_of(store.STORE / f"{spec.name}.mar")


def test_what_was_promoted_is_served_again(spec: ModelSpec, capsys: pytest.CaptureFixture[str]) -> None:
    assert versions.current(spec).version == served(spec) == "3.0"
    said = capsys.readouterr().out
    assert "tiny 3.0 is served, as a roll-out promoted it; its model.yaml still has version 2.0" in said


def test_a_version_that_is_named_is_built_and_the_promoted_one_is_kept(
    spec: ModelSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    assert versions.current(spec, pinned=True).version == served(spec) == "2.0"
    said = capsys.readouterr().out
    assert (
        "tiny 2.0 is served, as requested; a roll-out had promoted 3.0, which is kept as tiny-3.0.mar" in said
    )
    assert store.version_of(store.of_version(store.STORE, "tiny", "3.0")) == "3.0"
    assert store.promoted(store.STORE, "tiny") is None


def test_a_new_version_in_model_yaml_counts_again(spec: ModelSpec) -> None:
    assert versions.current(spec.model_copy(update={"version": "4.0"})).version == served(spec) == "4.0"


def test_a_version_is_named_in_models_alone(spec: ModelSpec) -> None:
    assert versions.named("./tiny:2.0 ./tiny") == {"tiny"}
    assert versions.named("./tiny") == set()
