"""The image's server stage, started as a container would be: its entrypoint, user, health check and read-only root.

Its packages and archive are this checkout's, mounted where the Dockerfile has them; `make image-check` builds them too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from deploy.docker.check import dockerfile, sandbox
from deploy.docker.check.__main__ import DOCKERFILE, TARGET, serve
from deploy.docker.check.builder import Builder, Built
from deploy.docker.check.dockerfile import Stage
from serving.gateway.envoy import Gateway
from tests.unit.deploy import kustomized as pods

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.e2e
needs_namespaces = pytest.mark.skipif(not sandbox.available(), reason="no namespaces for this user here")


@pytest.fixture
def given(demo_store: Path) -> dict[str, Path]:
    """What is mounted: the packages and the archive, and their Python where it is no system's."""
    demo_store.chmod(0o755)  # the image's user is another
    folders = {"/app/.venv": Path(sys.prefix), "/app/model_store": demo_store}
    return (
        folders if sys.base_prefix.startswith("/usr") else folders | {sys.base_prefix: Path(sys.base_prefix)}
    )


@pytest.fixture
def built(given: dict[str, Path], tmp_path: Path) -> tuple[Stage, Built]:
    stages = dockerfile.needed(dockerfile.read(ROOT / DOCKERFILE, {}), TARGET)
    builder = Builder(ROOT, tmp_path, {}, given)
    for stage in stages:
        builder.build(stage)
    for place in given:
        (builder.built[TARGET].root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return stages[-1], builder.built[TARGET]


@needs_namespaces
def test_the_image_starts_answers_and_stops_read_only_and_as_nobody(
    built: tuple[Stage, Built],
    given: dict[str, Path],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    serve(*built, given)
    said = capfd.readouterr().out
    assert "ready by HEALTHCHECK" in said
    assert "speaker_id_queue_depth is scraped" in said
    user = "10001" if os.geteuid() == 0 else "0"  # root of the namespace only, where nobody else can be had
    assert f"as uid {user}; SIGTERM: 0 after" in said


@needs_namespaces
def test_nothing_but_its_tmp_can_be_written_to(built: tuple[Stage, Built], given: dict[str, Path]) -> None:
    _, container = built

    def touch(place: str) -> int:
        words = ["touch", place]
        command = sandbox.command(container.root, words, "/app", container.variables, "", True, given)
        return subprocess.run(command, capture_output=True, timeout=600).returncode

    assert touch("/tmp/new") == 0
    for place in (
        "/app/new",
        "/app/bundle/new",
        "/app/.venv/new",
        "/app/model_store/new",
        "/usr/new",
        "/etc/new",
    ):
        assert touch(place) != 0, place


@needs_namespaces
def test_no_file_of_this_machine_is_seen_but_the_system_s(
    built: tuple[Stage, Built], given: dict[str, Path], tmp_path: Path
) -> None:
    _, container = built
    command = sandbox.command(
        container.root, ["ls", "/"], "/", container.variables, "10001:10001", True, given
    )
    seen = subprocess.run(command, capture_output=True, text=True, timeout=600).stdout.split()
    ours = {place.split("/")[1] for place in given}
    assert set(seen) <= {*sandbox.SYSTEM, *ours, "dev", "proc", "tmp"}
    assert "app" in seen


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_the_probes_of_the_manifests_are_answered(gateway: Gateway, probe: str) -> None:
    path = pods.server(pods.overlay("cpu"))[probe]["httpGet"]["path"]
    assert requests.get(gateway.url + path, timeout=600).status_code == 200
