"""The image as a running container: read-only, as its own user, without capabilities, with a limit on its memory."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from bundle import BundleError
from deploy.docker import engine
from deploy.docker.command import run
from serving.host import ports
from serving.host.polling import wait_until
from serving.host.ports import LOOPBACK

READY_SECONDS = 400.0  # more than the start period of the Dockerfile's HEALTHCHECK
STOP_SECONDS = 100  # terminationGracePeriodSeconds of deploy/kubernetes
MEMORY = "4g"  # components/cpu of deploy/kubernetes
PORT, METRICS_PORT = 8080, 9102
CONFINED = (
    "--read-only",
    "--tmpfs=/tmp:rw,exec,nosuid,nodev,size=2g",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    f"--memory={MEMORY}",
)


@dataclass
class Start:
    """How a container is started, beside what holds for all.

    Attributes:
        arguments: after the image's name.
        environment: its variables.
        volumes: folders of this machine, read-only, by their place in the container.
        port: what the gateway listens on.
    """

    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, Path] = field(default_factory=dict)
    port: int = PORT


@dataclass
class Container:
    """A started container.

    Attributes:
        program: the engine, docker or podman.
        id: the container's.
        url, metrics_url: its published ports.
        stopping: the engine's command that stops it, once that has been called.
    """

    program: str
    id: str
    url: str
    metrics_url: str
    stopping: subprocess.Popen[bytes] | None = None

    def engine(self, *words: str) -> str:
        return run(self.program, *words)

    def inspect(self) -> Any:
        return json.loads(self.engine("inspect", self.id))[0]

    @property
    def running(self) -> bool:
        """podman calls a container that is being stopped no longer running."""
        return str(self.inspect()["State"]["Status"]) in ("created", "initialized", "running", "stopping")

    @property
    def healthy(self) -> bool:
        """By the image's HEALTHCHECK. docker's daemon runs it; podman when asked, since its timers need systemd."""
        if self.program == "podman":
            asked = subprocess.run([self.program, "healthcheck", "run", self.id], capture_output=True)
            return asked.returncode == 0
        return bool(self.inspect()["State"]["Health"]["Status"] == "healthy")

    @property
    def log(self) -> str:
        done = subprocess.run([self.program, "logs", self.id], capture_output=True, text=True)
        return done.stdout + done.stderr

    def wait_healthy(self) -> None:
        def settled() -> bool:
            return self.healthy or not self.running

        if not wait_until(settled, READY_SECONDS, 0.5) or not self.running:
            raise BundleError(f"its HEALTHCHECK does not pass; its log:\n{self.log}")

    def get(self, path: str) -> int:
        """The status of a path; 0 where nothing accepts the connection."""
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(self.url + path, timeout=600).status_code
        return 0

    def stop(self) -> None:
        """SIGTERM, by the engine, and SIGKILL when the time is over; returns at once."""
        command = [self.program, "stop", "--time", str(STOP_SECONDS), self.id]
        self.stopping = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def can_write(self, place: str) -> bool:
        command = [self.program, "exec", self.id, "touch", place]
        return subprocess.run(command, capture_output=True).returncode == 0

    @property
    def exit_code(self) -> int:
        return int(self.inspect()["State"]["ExitCode"])

    def confinement(self) -> dict[str, str]:
        """What the kernel says of its first process: user, capabilities, seccomp."""
        status = Path(f"/proc/{self.inspect()['State']['Pid']}/status").read_text()
        said = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        names = ("Uid", "Gid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
        return {name: said[name].split("\t")[0] for name in names}


@contextlib.contextmanager
def started(
    program: str, image: str, how: Start | None = None, more: Sequence[str] = ()
) -> Iterator[Container]:
    """A container of the image, which is removed with the block.

    Args:
        program: docker or podman.
        image: its name.
        how: what a platform adds.
        more: options of the engine.
    """
    how = how or Start()
    port, metrics = ports.free(2)
    words = ["run", "--detach", *CONFINED, *engine.own_limits(), *more]
    words += [f"--publish={LOOPBACK}:{port}:{how.port}", f"--publish={LOOPBACK}:{metrics}:{METRICS_PORT}"]
    words += [f"--env={name}={value}" for name, value in how.environment.items()]
    words += [f"--volume={folder.resolve()}:{place}:ro" for place, folder in how.volumes.items()]
    name = run(program, *words, image, *how.arguments).split()[-1]
    container = Container(program, name, f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{metrics}")
    try:
        yield container
    finally:
        if container.stopping:
            container.stopping.wait(STOP_SECONDS)
        run(program, "rm", "--force", name)
