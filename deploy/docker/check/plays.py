"""What is played against a running container: probes, a request, a scrape, each cloud platform's start, a stop."""

from __future__ import annotations

import contextlib
import time
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import requests

from bundle import BundleError, samples
from bundle.store import CHECKPOINT_FOLDER
from clients.identify import Client
from deploy.docker.check.clouds import Side
from deploy.docker.check.container import PORT, READY_SECONDS, STOP_SECONDS, Container, Start, started
from deploy.docker.check.router import CALLERS, stop_under_load
from serving.host import ports
from serving.host.polling import wait_until
from serving.platforms import KILL_SECONDS

SIGNAL = "speaker_id_queue_depth"
NOBODY = {
    "Uid": "10001",
    "Gid": "10001",
    "CapEff": "0" * 16,
    "CapBnd": "0" * 16,
    "NoNewPrivs": "1",
    "Seccomp": "2",
}
STOPPING = ("--stop-delay", "10", "--grace", "60")  # as deploy/kubernetes
CHECKPOINT = ("config.json", "preprocessor_config.json", "model.safetensors")


def whole(program: str, image: str, model: str, more: Sequence[str] = ()) -> None:
    """Start it as docs/deploy.md does, ask it, scrape it, and stop it under load.

    Raises:
        BundleError: it does not become ready, is not confined, answers wrongly, has no metrics, or loses a request.
    """
    began = time.monotonic()
    with started(program, image, Start(STOPPING), more) as container:
        container.wait_healthy()
        seconds = time.monotonic() - began
        if (confined := container.confinement()) != NOBODY:
            raise BundleError(f"its first process has {confined}, not {NOBODY}")
        print(f"healthy by its HEALTHCHECK {seconds:.1f} s after its start, with {confined}", flush=True)
        for place in ("/app/new", "/app/model_store/new", "/etc/new"):
            if container.can_write(place):
                raise BundleError(f"it can write to {place}")
        sample = samples.samples()[0]
        with Client(container.url, model) as client:
            best = client.identify(sample.path).labels[0].label
        if model == "demo" and best != sample.speaker:
            raise BundleError(f"{sample.path.name} is by {sample.speaker}, but the server answers {best}")
        if f"\n{SIGNAL}{{" not in requests.get(f"{container.metrics_url}/metrics", timeout=60).text:
            raise BundleError(f"its metrics lack {SIGNAL}, which the autoscalers use")
        print(f"{sample.path.name}: {best}; {SIGNAL} is scraped", flush=True)
        stop(container, "/v2/health/ready", f"/predictions/{model}")


def platform(
    program: str, image: str, name: str, side: Side, mar: Path, folder: Path, more: Sequence[str] = ()
) -> None:
    """Start it as a cloud platform does: 503 until it is ready, clips on the platform's route, a stop under load.

    Args:
        program, image: docker or podman, and the image's name.
        name, side: the platform.
        mar: the archive that it mounts, where it mounts one.
        folder: for what is mounted.
        more: options of the engine.

    Raises:
        BundleError: it answers otherwise.
    """
    volumes = {}
    if side.archive:
        volumes["/" + side.archive] = mar.parent
    if side.repository:
        volumes["/" + side.repository] = checkpoint(mar, folder / name)
    port = ports.free(1)[0] if side.port else PORT
    environment = {variable: value.format(mounted="") for variable, value in side.environment.items()}
    environment |= {side.port: str(port)} if side.port else {}
    began = time.monotonic()
    with started(program, image, Start(side.argument, environment, volumes, port), more) as container:
        seen = {0}

        def ready() -> bool:
            seen.add(container.get(side.health))
            return 200 in seen or not container.running

        wait_until(ready, READY_SECONDS)
        if seen != {0, 503, 200}:
            raise BundleError(
                f"{name}: {side.health} answers {sorted(seen)} while it starts; {container.log}"
            )
        print(f"{name}: ready after {time.monotonic() - began:.1f} s", flush=True)
        stop(container, side.health, side.predict, KILL_SECONDS)


def stop(container: Container, health: str, predict: str, seconds: float = STOP_SECONDS) -> None:
    """Stop a container under load.

    Raises:
        BundleError: a request is lost, it takes too long, or ends with another code than 0.
    """
    clip = samples.samples()[0].path.read_bytes()

    def call() -> int:
        with contextlib.suppress(requests.ConnectionError):
            return requests.post(container.url + predict, clip, timeout=600).status_code
        return 0

    began = time.monotonic() + 1  # stop_under_load's second of load
    statuses = stop_under_load(call, lambda: container.get(health), container.stop)
    if not wait_until(lambda: not container.running, seconds):
        raise BundleError(f"it still runs {seconds:.0f} s after its stop")
    took = time.monotonic() - began
    answered, code = Counter(statuses), container.exit_code
    if set(answered) != {200} or len(statuses) <= CALLERS or code or "cut off" in container.log:
        raise BundleError(
            f"stopped under load it answered {dict(answered)}, exit code {code}; {container.log}"
        )
    print(f"  stopped under load in {took:.1f} s: {len(statuses)} requests, 0 lost, exit code 0", flush=True)


def checkpoint(mar: Path, folder: Path) -> Path:
    """The archive's checkpoint as a repository of Hugging Face's, which other users may read."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(mar) as archive:
        for name in CHECKPOINT:
            (folder / name).write_bytes(archive.read(f"{CHECKPOINT_FOLDER}/{name}"))
            (folder / name).chmod(0o644)
    folder.chmod(0o755)
    return folder
