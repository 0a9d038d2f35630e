"""`make image`: each engine's words, pip's settings as secrets, and what an image says of itself."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from datetime import datetime, timedelta, timezone
from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest

from bundle import BundleError
from deploy.docker import bill, engine, image, labels, lean, pip_settings
from deploy.docker.check import contents
from deploy.docker.engine import Build, Engine
from tests.unit.deploy import dockerfile
from tests.unit.deploy.kustomized import ROOT

BUILD = Build(
    Path("Dockerfile"),
    Path("context"),
    arguments={"MODEL": "demo"},
    labels={"a": "b"},
    secrets={"pip": Path("pip.conf")},
    contexts={"code": Path("folder")},
    volumes=["/wheels"],
    target="bill",
    output=Path("out"),
)


def test_docker_gets_the_times_as_an_argument() -> None:
    words = Engine("docker").build_command(BUILD)
    assert words[:2] == ["docker", "build"]
    assert f"SOURCE_DATE_EPOCH={engine.EPOCH}" in words
    assert words[-1] == "context"
    assert not {"--format", "--timestamp", "--layers"} & set(words)


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_the_others_keep_the_health_check_and_get_the_times_as_an_option(name: str) -> None:
    words = Engine(name).build_command(BUILD)
    assert words[:2] == [name, "build"]
    assert words[words.index("--format") + 1] == "docker"
    assert words[words.index("--timestamp") + 1] == str(engine.EPOCH)


@pytest.mark.parametrize("name", engine.NAMES)
def test_the_rest_is_said_to_all_alike(name: str) -> None:
    said = " ".join(Engine(name).build_command(BUILD))
    for words in (
        "--build-arg MODEL=demo",
        "--label a=b",
        "--secret id=pip,src=pip.conf",
        "--build-context code=folder",
        "--volume /wheels:/wheels:ro",
        "--target bill",
        "--output type=local,dest=out",
    ):
        assert words in said


def test_the_times_are_what_a_zip_file_holds_in_every_time_zone() -> None:
    furthest_west = timezone(timedelta(hours=-12))
    assert datetime.fromtimestamp(engine.EPOCH, furthest_west).year == 1980


def test_an_engine_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BundleError, match="ENGINE=podman is not installed"):
        engine.find("podman")
    with pytest.raises(BundleError, match="docker, podman, buildah"):
        engine.find()


def test_podman_by_docker_s_name_is_not_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, says in (("docker", "podman version 5.4.0"), ("podman", "podman version 5.4.0")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {says}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine.find() == Engine("podman")
    with pytest.raises(BundleError, match=r"ENGINE=docker .* is podman by another name"):
        engine.find("docker")


def test_docker_adds_no_provenance_which_would_be_another_at_each_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\nenv > {tmp_path}/env\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    Engine("docker").build(BUILD)
    assert "BUILDX_NO_DEFAULT_ATTESTATIONS=1" in (tmp_path / "env").read_text().splitlines()


SAID = """:env:.find-links='/here'
:env:.disable-pip-version-check='1'
global.cert='/ca.crt'
global.constraint='/other.txt'
global.find-links='/there'
global.extra-index-url='https://a/simple\\nhttps://b/simple'
"""


def test_of_pip_s_settings_those_go_in_that_say_where_packages_are_and_the_environment_s_first() -> None:
    assert pip_settings.parse(SAID) == {
        "cert": "/ca.crt",
        "find-links": "/here",
        "extra-index-url": "https://a/simple https://b/simple",
    }


def test_pip_s_settings_are_secrets_and_its_folders_volumes(tmp_path: Path) -> None:
    certificate, wheels, index = tmp_path / "ca.crt", tmp_path / "wheels", tmp_path / "mirror" / "simple"
    certificate.touch()
    wheels.mkdir()
    index.mkdir(parents=True)
    given = {"cert": str(certificate), "find-links": f"{wheels} https://c/", "index-url": f"file://{index}"}
    assert pip_settings.folders(given) == [str(index.parent), str(wheels)]
    secrets = pip_settings.secrets(given, tmp_path / "made" / "pip.conf")
    assert secrets == {"ca": certificate, "pip": tmp_path / "made" / "pip.conf"}
    assert f"cert = {pip_settings.CERTIFICATE_INSIDE}" in secrets["pip"].read_text()
    assert secrets["pip"].stat().st_mode & 0o077 == 0
    assert pip_settings.secrets({}, tmp_path / "other") == {}


MODEL = {
    "type": "machine-learning-model",
    "name": "voices",
    "version": "1.0",
    "properties": [{"name": "source", "value": "superb/x"}, {"name": "revision", "value": "0123"}],
    "licenses": [{"license": {"name": "Apache-2.0"}}],
}
BILL = {
    "components": [
        MODEL,
        {"type": "library", "name": "a", "licenses": [{"expression": "MIT AND BSD-3-Clause"}]},
        {"type": "library", "name": "b", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
        {"type": "library", "name": "c"},
    ]
}


def test_an_image_names_its_source_its_model_and_the_licences_of_its_packages() -> None:
    said = labels.of(BILL, "1.0-cpu", "python:3")
    assert said["org.opencontainers.image.licenses"] == "(MIT OR Apache-2.0) AND BSD-3-Clause AND MIT"
    assert said["org.opencontainers.image.base.name"] == "python:3"
    assert said["speaker-id.model.name"] == "voices"
    assert said["speaker-id.model.revision"] == "0123"
    assert all(said.values())


def test_a_repository_s_password_is_not_in_its_label() -> None:
    assert labels.source("https://me:secret@host:8443/a.git") == "https://host:8443/a.git"
    assert labels.source("git@host:a.git") == "git@host:a.git"


@pytest.mark.parametrize("address", ["/home/me/clone", "../clone", "file:///home/me/clone", ""])
def test_a_folder_of_the_building_machine_is_no_source(address: str) -> None:
    assert labels.source(address) == ""


def test_a_licence_is_an_spdx_expression_or_is_left_out() -> None:
    packages = {each["name"]: each for each in bill.python()}
    assert packages["numpy"]["licenses"][0]["expression"].startswith("BSD-3-Clause")
    assert packages["torchserve"]["licenses"] == [{"expression": "Apache-2.0"}]
    unclear = Message()
    unclear["License"] = "as agreed"
    unclear["Classifier"] = "License :: Other/Proprietary License"
    assert bill.licence(unclear) is None
    assert packages["requests"]["purl"] == f"pkg:pypi/requests@{metadata.version('requests')}"


def test_debian_s_packages_are_listed(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u9\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    )
    (found,) = bill.debian(status)
    assert found["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64"


def test_the_model_is_listed_with_its_origin(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "voices.mar", "w") as mar:
        card = {"source": "superb/x", "revision": "0123", "licence": "Apache-2.0"}
        mar.writestr("checkpoint/manifest.json", json.dumps(card))
        mar.writestr(
            "MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": "voices", "modelVersion": "1.0"}})
        )
    assert list(bill.models(tmp_path)) == [MODEL]


def test_what_serving_never_reads_is_taken_from_the_packages_and_what_it_starts_is_kept(
    tmp_path: Path,
) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    kept = (
        "torch/bin/torch_shm_manager",
        # with which Triton compiles at a worker's first start
        "triton/backends/nvidia/bin/ptxas",
        "triton/backends/nvidia/include/cuda.h",
        "transformers/models/wav2vec2/a.py",
        "transformers/models/__init__.py",
    )
    gone = [
        "torch/bin/protoc",
        "torch/test/a",
        "torch/include/a.h",
        "pip/a.py",
        "a/tests/test_a.py",
        "PIL/a.py",
    ]
    gone += ["transformers/models/bert/a.py", "a/__pycache__/a.pyc"]
    for name in (*kept, *gone):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).touch()
    lean.prune(tmp_path)
    assert sorted(
        str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()
    ) == sorted(kept)


def test_the_build_imports_every_module_but_those_that_need_what_an_image_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in lean.CODE:
        (tmp_path / name).symlink_to(ROOT / name)  # without clients/, as in the image
    monkeypatch.setattr(lean, "APP", tmp_path)
    files = [Path(each) for each in lean.imported()]
    ours = {str(each.relative_to(tmp_path)) for each in files if each.is_relative_to(tmp_path)}
    assert {"serving/serve.py", "serving/health.py", "handler/speaker_handler.py"} <= ours
    # `from clients.identify import`, at their top
    assert not {"serving/batch.py", "serving/demo.py", "serving/identify.py"} & ours
    assert any(each.match("transformers/models/wav2vec2/modeling_wav2vec2.py") for each in files)


def test_a_compiled_file_of_another_source_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    monkeypatch.setattr(lean, "LAYERS", tmp_path / "layers")
    lean.compile_files([str(source)])
    (pyc,) = (tmp_path / "layers").rglob("*.pyc")
    monkeypatch.setattr(contents, "COMPILED", tmp_path / "layers/compiled/app/compiled")
    assert pyc.name == f"a.{sys.implementation.cache_tag}.pyc"
    assert not contents.stale(pyc)
    source.write_text("x = 2\n")
    assert contents.stale(pyc)
    source.unlink()
    assert contents.stale(pyc)


def test_the_base_is_the_argument_s_or_the_file_s() -> None:
    build = Build(dockerfile.FILE)
    assert image.base(build) == "python:3.11-slim-bookworm"
    assert image.base(Build(build.file, arguments={"PYTHON_IMAGE": "other"})) == "other"
    for more in (
        ["--build-arg", "PYTHON_IMAGE=pinned@sha256:0"],
        ["--build-arg=PYTHON_IMAGE=pinned@sha256:0"],
    ):
        assert image.base(Build(build.file, more=["--quiet", *more])) == "pinned@sha256:0"
