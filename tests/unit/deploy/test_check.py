"""`make image-check` starts the image as the manifests and the Dockerfile have it, and takes nothing for everything."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bundle import BundleError
from deploy.docker.check import container, contents_of, plays
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


def test_a_file_that_cannot_be_copied_is_an_error(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text("#!/bin/sh\necho no such file >&2\nexit 1\n")
    engine.chmod(0o755)
    with pytest.raises(BundleError, match=r"/app/x.mar of image cannot be read: no such file"):
        contents_of.copied(str(engine), "image", "/app/x.mar", tmp_path / "copy")
