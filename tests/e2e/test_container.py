"""The image's server stage, started as a container would be: its entrypoint, user, health check and read-only root.

Its packages and archive are this checkout's, mounted where the Dockerfile has them; `make image-check` builds them too.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from bundle import samples
from deploy.docker.check import dockerfile, sandbox
from deploy.docker.check.__main__ import DOCKERFILE, TARGET, serve, started
from deploy.docker.check.builder import Builder, Built
from deploy.docker.check.dockerfile import Stage
from serving.gateway.envoy import Gateway
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.platforms import KILL_SECONDS
from tests.e2e.router import stop_under_load
from tests.unit.deploy import kustomized as pods
from tests.waiting import wait_until

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
def test_a_checkpoint_that_hugging_face_mounts_is_converted_and_served_until_a_stop_under_load(
    built: tuple[Stage, Built], given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in ("config.json", "preprocessor_config.json", "model.safetensors", "README.md"):
        shutil.copyfile(ROOT / "models/demo" / name, repository / name)
        (repository / name).chmod(0o644)
    repository.chmod(0o755)
    (built[1].root / "repository").mkdir()
    port, metrics_port = ports.free(2)
    url, clip = f"http://{LOOPBACK}:{port}", samples.samples()[0]
    with started(*built, port, metrics_port, given | {"/repository": repository}) as container:

        def health() -> int:
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"{url}/health", timeout=600).status_code
            return 0

        seen = [0]
        wait_until(lambda: seen.append(health()) or container.outer.poll() is not None or seen[-1] == 200)
        assert sorted(set(seen)) == [0, 200, 503]
        inputs = {"inputs": base64.b64encode(clip.path.read_bytes()).decode(), "parameters": {"top_k": 1}}
        (best,) = requests.post(url, json=inputs, timeout=600).json()
        assert best["label"] == clip.speaker
        assert requests.get(f"{url}/v1/models/repository", timeout=600).status_code == 200

        def call() -> int:
            return requests.post(url, clip.path.read_bytes(), timeout=600).status_code

        statuses = stop_under_load(call, health, lambda: container.inner.send_signal(signal.SIGTERM))
        assert set(statuses) == {200}
        assert container.outer.wait(KILL_SECONDS) == 0


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
