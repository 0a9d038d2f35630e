"""The image's server stage, built and started by podman: its entrypoint, user, health check and read-only root.

Its packages and archive are this checkout's, mounted into a base of this machine's own system: it takes seconds.
`make image-check` builds all of it. Only for root, whose podman needs nothing of the machine's set-up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bundle import java
from deploy.docker import lean
from deploy.docker.check import contents_of, plays, storage
from deploy.docker.check.clouds import SIDES
from deploy.docker.command import run
from deploy.docker.engine import Build, Engine
from serving.gateway.envoy import Gateway
from tests.unit.deploy import dockerfile
from tests.unit.deploy import kustomized as pods
from tests.unit.deploy.kustomized import ROOT

pytestmark = pytest.mark.e2e
needs_podman = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("podman") is None, reason="no podman here, or not as root"
)
TAG, BASE = "speaker-id-test:1.0", "this-machine:1.0"


def base(folder: Path) -> Path:
    """A root with this machine's links, such as /lib, and empty folders; its files are mounted."""
    tar = folder / "base.tar"
    (folder / "empty").mkdir()
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    with tarfile.open(tar, "w") as target:
        for name in ("usr", "bin", "sbin", "lib", "lib64", "etc", "app/.venv"):
            real = Path("/") / name
            if real.is_symlink():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, str(real.readlink())
                target.addfile(link)
            elif real.is_dir() or name.startswith("app"):
                target.add(folder / "empty", name)
        target.add(folder / "tmp", "tmp")
        target.add("/etc/ld.so.cache", "etc/ld.so.cache")
    return tar


@pytest.fixture(scope="module")
def mounted() -> list[str]:
    """Options: this machine's system and packages, whose compiled files lie beside them."""
    places = {"/usr": Path("/usr"), "/app/.venv": Path(sys.prefix).resolve()}
    if not sys.base_prefix.startswith("/usr"):
        places[sys.base_prefix] = Path(sys.base_prefix)
    found = java.find()
    assert found
    home = found.resolve().parents[1]  # as an image's is in its .venv, here this machine's own
    if not home.is_relative_to("/usr"):
        places[str(home)] = home
    places |= {
        str(folder): folder for folder in Path("/etc").glob("java*")
    }  # Debian's Java has links to there
    variables = {"JAVA_HOME": home, "PATH": "/app/.venv/bin:/usr/bin:/bin", "PYTHONPYCACHEPREFIX": ""}
    return [
        *(f"--volume={folder}:{place}:ro" for place, folder in places.items()),
        *(f"--env={name}={value}" for name, value in variables.items()),
    ]


@pytest.fixture(scope="module")
def build(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """The last stage of deploy/docker/Dockerfile, with folders in the place of the stages before, as it was built."""
    folder = tmp_path_factory.mktemp("image")
    code, model = folder / "code/layers/code/app", folder / "model/layers/model/app/model_store"
    lean.lay_out(ROOT, code)
    shutil.copytree(demo_store, model, ignore=shutil.ignore_patterns(".*"))
    for empty in ("code/layers/compiled", "packages/app/.venv"):
        (folder / empty).mkdir(parents=True)
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(storage.VARIABLE, raising=False)
        storage.own(folder / "storage")
        patch.setenv(storage.VARIABLE, os.environ[storage.VARIABLE])
        try:
            run("podman", "import", str(base(folder)), BASE)
            contexts = {name: folder / name for name in ("packages", "code", "model")}
            build = Build(
                dockerfile.FILE, folder / "empty", {"PYTHON_IMAGE": BASE}, contexts=contexts, tag=TAG
            )
            Engine("podman").build(build, quiet=True)
            yield build
        finally:
            storage.remove(folder / "storage")


@pytest.fixture(scope="module")
def image(build: Build) -> str:
    """Its name."""
    return build.tag


@needs_podman
def test_built_again_from_nothing_it_is_the_same_image(build: Build) -> None:
    contents_of.same_again(Engine("podman"), build, "podman", build.tag)


@needs_podman
def test_it_starts_answers_and_stops_read_only_and_as_nobody(
    image: str, mounted: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    plays.whole("podman", image, "demo", mounted)
    said = capfd.readouterr().out
    assert "healthy by its HEALTHCHECK" in said
    assert "speaker_id_queue_depth is scraped" in said
    assert "0 lost, exit code 0" in said


@needs_podman
def test_a_checkpoint_that_hugging_face_mounts_is_converted_and_served_until_a_stop_under_load(
    image: str, mounted: list[str], demo_store: Path, tmp_path: Path
) -> None:
    name = "huggingface"
    plays.platform("podman", image, name, SIDES[name], demo_store / "demo.mar", tmp_path, mounted)


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_the_probes_of_the_manifests_are_answered(gateway: Gateway, probe: str) -> None:
    path = pods.server(pods.overlay("cpu"))[probe]["httpGet"]["path"]
    assert requests.get(gateway.url + path, timeout=600).status_code == 200
