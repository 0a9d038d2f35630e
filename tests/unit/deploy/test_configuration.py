"""An image's configuration: two builds of the same files are the same image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bundle import BundleError
from deploy.docker import configuration, engine
from deploy.docker.engine import Engine


def written(container: str, version: str) -> dict[str, Any]:
    """A configuration as podman 4.3 writes it, shortened."""
    inner = {
        "Hostname": container[:12],
        "User": "10001:10001",
        "Healthcheck": {"Test": ["CMD", "true"]},
        "Image": "",
        "Labels": {"io.buildah.version": version, "a": "b"},
    }
    first = {"created": "2026-11-26T13:20:21Z", "created_by": "ADD file", "comment": "imported from tarball"}
    steps = [
        {"created": "1980-01-02T00:00:00Z", "created_by": by, "comment": f"FROM {container[:12]}"}
        for by in ("COPY dir", "USER")
    ]
    return {
        "created": "1980-01-02T00:00:00Z",
        "container": container,
        "container_config": inner,
        "config": inner,
        "architecture": "amd64",
        "parent": f"sha256:{container}",
        "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
        "history": [first, *steps],
    }


def test_what_belongs_to_one_build_is_left_out_and_the_rest_is_kept() -> None:
    first, second = written("a" * 64, "1.28.0"), written("b" * 64, "1.28.2")
    found = configuration.settled(first)
    assert found == configuration.settled(second)
    assert found["config"] == {
        "User": "10001:10001",
        "Healthcheck": {"Test": ["CMD", "true"]},
        "Labels": {"a": "b"},
    }
    assert found["history"][0] == first["history"][0]
    assert found["history"][1] == {"created": "1980-01-02T00:00:00Z", "created_by": "COPY dir"}
    assert {name: found[name] for name in ("created", "architecture", "rootfs")} == {
        name: first[name] for name in ("created", "architecture", "rootfs")
    }


def test_an_image_without_labels_has_none() -> None:
    found = written("a" * 64, "1.28.0")
    found["config"]["Labels"] = None
    assert configuration.settled(found)["config"]["Labels"] == {}


def test_the_manifest_names_the_configuration_that_is_there(tmp_path: Path) -> None:
    before = json.dumps(written("a" * 64, "1.28.0")).encode()
    digest = hashlib.sha256(before).hexdigest()
    (tmp_path / digest).write_bytes(before)
    config = {"mediaType": "m", "digest": f"sha256:{digest}", "size": len(before)}
    (tmp_path / "manifest.json").write_text(
        json.dumps({"config": config, "layers": [{"digest": "sha256:1"}]})
    )
    configuration.rewrite(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (named,) = {path.name for path in tmp_path.iterdir()} - {"manifest.json"}
    content = (tmp_path / named).read_bytes()
    assert manifest["config"] == {
        "mediaType": "m",
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "size": len(content),
    }
    assert manifest["config"]["digest"] == f"sha256:{named}"
    assert manifest["layers"] == [{"digest": "sha256:1"}]


@pytest.mark.parametrize(
    ("chosen", "here", "other"),
    [("podman", ["buildah"], "buildah"), ("buildah", [], "buildah"), ("docker", ["podman"], "docker")],
)
def test_podman_and_buildah_are_held_to_each_other(
    chosen: str, here: list[str], other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in here:
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine.beside(Engine(chosen)) == Engine(other)


def test_buildah_needs_podman_to_start_what_it_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BundleError, match="install podman too"):
        engine.starting(Engine("buildah"))
    (tmp_path / "podman").touch(0o755)
    assert engine.starting(Engine("buildah")) == "podman"
    assert engine.starting(Engine("docker")) == "docker"
