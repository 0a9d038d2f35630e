"""`make image-check` starts the image as the manifests and the Dockerfile have it, and takes nothing for everything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bundle import BundleError
from deploy.docker import image
from deploy.docker.check import __main__ as main
from deploy.docker.check import base, container, contents_of, plays, registry
from deploy.docker.engine import Build, Engine
from serving.metrics.catalogue import CATALOGUE
from tests.unit.deploy import dockerfile
from tests.unit.deploy.kustomized import overlay, pod, server


def test_it_is_started_and_stopped_as_a_pod_is() -> None:
    given = server(overlay("cpu"))
    words = " ".join(given["args"])
    assert words == f"--port {container.PORT} {' '.join(plays.STOPPING)}"
    assert pod(overlay("cpu"))["spec"]["terminationGracePeriodSeconds"] == container.STOP_SECONDS
    assert f"{container.MEMORY.upper()}i" == given["resources"]["limits"]["memory"]
    assert {port["containerPort"] for port in given["ports"]} == {container.PORT, container.METRICS_PORT}


def test_it_waits_longer_than_the_health_check_allows_for_a_start() -> None:
    (start,) = re.findall(r"--start-period=(\d+)s", dockerfile.server().last("HEALTHCHECK"))
    assert int(start) < container.READY_SECONDS


def test_it_expects_the_dockerfile_s_user_and_a_metric_that_there_is() -> None:
    assert f"{plays.NOBODY['Uid']}:{plays.NOBODY['Gid']}" == dockerfile.server().last("USER")
    assert plays.SIGNAL in {metric.name for metric in CATALOGUE}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"unwanted": [], "stale": [], "compiled": 0}, "no compiled files"),
        ({"unwanted": ["/app/pip"], "stale": [], "compiled": 1}, "/app/pip"),
        ({"unwanted": [], "stale": ["/app/a.pyc"], "compiled": 1}, "stale compiled files .*/app/a.pyc"),
    ],
)
def test_what_an_image_must_not_hold_is_an_error(found: dict[str, object], said: str, tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text(f"#!/bin/sh\ncat > /dev/null\necho '{json.dumps(found)}'\n")
    engine.chmod(0o755)
    with pytest.raises(BundleError, match=said):
        contents_of.check(str(engine), "image")


def test_an_image_that_has_grown_is_an_error() -> None:
    for kind, size in (("unpacked", 1_350_000_000), ("compressed", 460_000_000)):
        contents_of.check_size(kind, size, limited=True)
        contents_of.check_size(kind, 2 * size, limited=False)
    with pytest.raises(BundleError, match="it has 1360 MB unpacked, more than 1350 MB"):
        contents_of.check_size("unpacked", 1_360_000_000, limited=True)
    with pytest.raises(BundleError, match="it has 461 MB compressed, more than 460 MB"):
        contents_of.check_size("compressed", 461_000_000, limited=True)


@pytest.mark.parametrize(
    ("limited", "size", "layer", "said"),
    [
        (True, 2e9, 1, "2000 MB unpacked"),
        (True, 1, 5e8, "500 MB compressed"),
        (False, 2e9, 5e8, "reached the end"),
    ],
)
def test_the_check_compares_both_sizes(
    limited: bool, size: float, layer: float, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def running(folder: Path) -> Iterator[str]:
        yield "127.0.0.1:1"

    def pulled(*given: object) -> str:
        raise BundleError("reached the end")

    made = image.Image("x", {"components": [{"type": "machine-learning-model", "name": "demo"}]}, {})
    inspected = json.dumps([{"Size": size}])
    doubles = {
        (base, "ensure"): "",
        (image, "make"): made,
        (main, "run"): inspected,
        (contents_of, "check"): None,
        (contents_of, "new_model"): None,
        (contents_of, "copied"): tmp_path,
        (contents_of, "identity"): "id",
        (plays, "whole"): None,
        (plays, "platform"): None,
        (registry, "available"): True,
        (registry, "push"): ("sha256:0", {"layers": [{"size": layer}]}),
    }
    for (module, name), answer in doubles.items():
        monkeypatch.setattr(module, name, lambda *given, answer=answer: answer)
    monkeypatch.setattr(registry, "running", running)
    monkeypatch.setattr(registry, "pulled", pulled)
    build = Build(dockerfile.FILE, arguments={"MODEL": "demo" if limited else "other"})
    with pytest.raises(BundleError, match=said):
        main.check(Engine("docker"), build, "cpu", True, tmp_path)


def test_a_file_that_cannot_be_copied_is_an_error(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text("#!/bin/sh\necho no such file >&2\nexit 1\n")
    engine.chmod(0o755)
    with pytest.raises(BundleError, match=r"/app/x.mar of image cannot be read: no such file"):
        contents_of.copied(str(engine), "image", "/app/x.mar", tmp_path / "copy")
