"""A Triton's versions, from its repository and its processes; Triton itself is not asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bundle import repository
from serving.control import ManagementError
from serving.triton.control import TritonControl


@pytest.fixture
def control(tmp_path: Path) -> TritonControl:
    """Of the model demo in the versions 1.0 and 2.0, and another model."""
    made = TritonControl(tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:1", tmp_path, tmp_path / "log")
    for model, number in (("demo", 1), ("demo", 2), ("other", 1)):
        folder = made.repository / model / str(number)
        (folder / "MAR-INF").mkdir(parents=True)
        manifest = {"model": {"modelName": model, "modelVersion": f"{number}.0"}}
        (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
        (folder / "model.py").touch()
        (folder / "model-config.yaml").write_text("minWorkers: 2\n")
        repository.point(made.repository, model, number, f"{model}.http")
    return made


def test_the_models_are_those_with_a_version_not_the_gateways_entrances(control: TritonControl) -> None:
    assert control.models() == ["demo", "other"]


def test_the_default_is_where_the_gateways_entrance_leads(control: TritonControl) -> None:
    assert control.default("demo") == "2.0"
    repository.point(control.repository, "demo", 1, "demo.http")
    assert control.default("demo") == "1.0"
    with pytest.raises(ManagementError, match="no default version of unknown"):
        control.default("unknown")


def test_a_version_that_lacks_a_worker_is_not_staffed(control: TritonControl) -> None:
    file = control.repository / "demo" / "1" / "model.py"
    assert control.staffed({file: (7, 8)}) == {("demo", 1): True, ("demo", 2): False, ("other", 1): False}


def test_a_version_is_loaded_again_by_a_change_of_its_own_folder(control: TritonControl) -> None:
    """Of a changed config.pbtxt alone, Triton takes over the workers as they are, those included that have ended."""
    former = {file: file.stat().st_mtime_ns for file in control.repository.rglob("*") if file.is_file()}
    control.reload("demo", 2)
    changed = {file for file, then in former.items() if file.stat().st_mtime_ns > then}
    assert {file.relative_to(control.repository).parts[:2] for file in changed} == {("demo", "2")}


def test_a_server_that_does_not_run_says_so(control: TritonControl) -> None:
    with pytest.raises(ManagementError, match="metrics do not answer"):
        control.versions("demo")
