"""Which tritonserver is started, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundle import BundleError
from serving.model_server import ServerError
from serving.triton import installation, launch, setup
from serving.triton.installation import Installation
from serving.triton.ports import Ports


def test_without_any_the_way_to_one_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(installation, "IMAGE", tmp_path)
    with pytest.raises(ServerError, match="run `make setup SERVER=triton`"):
        installation.find(tmp_path / "none")


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    stub = tmp_path / installation.STUB
    stub.parent.mkdir()
    stub.write_text(
        f"#!/bin/sh\necho '{installation.UNLOADABLE}libpython3.11.so.1.0: cannot open' >&2; exit 127\n"
    )
    stub.chmod(0o755)
    with pytest.raises(ServerError, match=r"needs libpython3\.11\.so\.1\.0, which is not found"):
        Installation(tmp_path, tmp_path).check()


def test_the_interpreter_is_the_first_on_the_path(tmp_path: Path) -> None:
    found = installation.tried(tmp_path)
    assert found.environment["PATH"].startswith(f"{tmp_path / 'venv' / 'bin'}:")
    assert str(tmp_path / "packages" / "nvidia_pytriton.libs") in found.environment["LD_LIBRARY_PATH"]


def test_another_python_is_refused_with_one_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "PYTHONS", ((3, 8), (3, 9)))
    with pytest.raises(BundleError, match=r"needs Python 3\.8 to 3\.9 here"):
        setup.check()


def test_it_listens_on_loopback_and_its_repository_is_private(tmp_path: Path) -> None:
    found = Installation(tmp_path / "tritonserver", tmp_path)
    command = launch.command(found, tmp_path, Ports(1, 2, 3), 10.0, 300)
    for option in ("http", "grpc", "metrics"):
        assert f"--{option}-address=127.0.0.1" in command
    assert {"--allow-sagemaker=false", "--allow-vertex-ai=false", "--model-control-mode=poll"} <= set(command)
    (restricted,) = (each for each in command if each.startswith("--http-restricted-api="))
    assert restricted.startswith("--http-restricted-api=model-repository,shared-memory,logging,trace:")
    assert restricted not in launch.command(found, tmp_path, Ports(1, 2, 3), 10.0, 300), (
        "another word at every start"
    )


def test_what_is_exported_for_other_programs_is_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = launch.environment(Installation(tmp_path, tmp_path), tmp_path, tmp_path, {"LD_PRELOAD": "x"})
    assert "PYTHONPATH" not in found
    assert (found["LD_PRELOAD"], found["TMPDIR"], found["HF_HUB_OFFLINE"]) == ("x", str(tmp_path), "1")
