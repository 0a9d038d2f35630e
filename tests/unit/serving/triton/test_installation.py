"""Which tritonserver is started, and how."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bundle import BundleError
from serving.model_server import ServerError
from serving.triton import installation, launch, setup, verify
from serving.triton.installation import Installation
from serving.triton.ports import Ports


def image(folder: Path, version: str = "2.59.1", needs: bytes = b"") -> Path:
    """What NVIDIA's image has in /opt/tritonserver, as far as it is looked at; the stub does nothing."""
    stub = folder / "backends" / installation.STUB
    (folder / "bin").mkdir(parents=True)
    stub.parent.mkdir(parents=True)
    stub.write_bytes(b"#!/bin/sh\nexit 1\n" + needs)
    stub.chmod(0o755)
    (folder / "bin" / "tritonserver").touch()
    if version:
        (folder / installation.VERSION_FILE).write_text(f"{version}\n")
    return folder


def test_that_of_the_variable_comes_before_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tried").mkdir()
    (tmp_path / "tried" / installation.STAMP).touch()
    monkeypatch.setattr(installation, "IMAGE", image(tmp_path / "image"))
    monkeypatch.setenv(installation.ROOT_VARIABLE, str(image(tmp_path / "named", "2.71.0")))
    found = installation.find(tmp_path / "tried")
    assert (found.executable, found.version) == (tmp_path / "named" / "bin" / "tritonserver", "2.71.0")
    found.check()
    monkeypatch.delenv(installation.ROOT_VARIABLE)
    assert installation.find(tmp_path / "none").executable == tmp_path / "image" / "bin" / "tritonserver"


def test_a_variable_that_leads_nowhere_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "IMAGE", image(tmp_path / "image"))
    monkeypatch.setenv(installation.ROOT_VARIABLE, str(tmp_path))
    with pytest.raises(
        ServerError, match="is no tritonserver: it needs bin/tritonserver and backends/python"
    ):
        installation.find(tmp_path / "none")


def test_in_the_image_the_model_s_packages_are_this_environment_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(installation.ROOT_VARIABLE, str(image(tmp_path)))
    assert installation.find().environment["PATH"].startswith(f"{sys.prefix}/bin:")


def test_a_backend_for_another_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(installation.ROOT_VARIABLE, str(image(tmp_path, needs=b"\0libpython3.99.so.1.0\0")))
    with pytest.raises(ServerError, match=r"is for Python 3\.99 .*set \.venv up with python3\.99"):
        installation.find().check()


@pytest.mark.parametrize("version", ["2.59.1", "2.60.0", "2.71.0", "3.0.0", "2.73.0dev"])
def test_a_version_with_the_fixes_is_not_warned_of(version: str) -> None:
    assert Installation(Path(), Path(), version=version).outdated() is None


@pytest.mark.parametrize("version", ["2.59.0", installation.WHEEL_VERSION, ""])  # 2.59.0 is 25.06
def test_a_version_without_the_fixes_is_for_trying_only(version: str) -> None:
    said = Installation(Path(), Path(), version=version).outdated()
    assert said is not None
    assert said.startswith(f"Triton {version or 'of an unknown version'} lacks security fixes of 2.59.1")


def test_the_wheel_s_version_is_of_the_wheel_that_is_pinned() -> None:
    # 0.7.0 has 2.51: the next one has another
    assert "nvidia-pytriton==0.7.0 " in setup.REQUIREMENTS.read_text()
    assert installation.tried(Path()).version == "2.51.0"


@pytest.mark.parametrize(("version", "code"), [("2.59.1", 0), ("2.59.0", 1)])
def test_an_image_with_an_old_triton_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, code: int
) -> None:
    monkeypatch.setenv(installation.ROOT_VARIABLE, str(image(tmp_path, version)))
    monkeypatch.setattr(sys, "argv", ["verify"])
    assert verify.main() == code


def test_without_any_the_way_to_one_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(installation.ROOT_VARIABLE, raising=False)
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
