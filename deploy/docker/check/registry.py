"""A registry on loopback, of Debian's docker-registry: the image is pushed, described, and pulled by its digest."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from bundle import BundleError
from deploy.docker import referrers
from deploy.docker.check.contents_of import identity
from deploy.docker.command import run
from deploy.docker.engine import BUILDS_ALIKE
from serving.host import ports
from serving.host.leash import Leashed
from serving.host.polling import wait_until
from serving.host.ports import LOOPBACK

PROGRAM = "docker-registry"


def available() -> bool:
    return shutil.which(PROGRAM) is not None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """A registry that stores in a folder; its host and port. It ends with the block."""
    (port,) = ports.free(1)
    address = f"{LOOPBACK}:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    storage = {"filesystem": {"rootdirectory": str(folder.resolve())}}
    settings = {"version": 0.1, "storage": storage, "http": {"addr": address}, "log": {"level": "error"}}
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    with (folder / "log").open("wb") as log:
        process = Leashed(
            [PROGRAM, "serve", str(folder / "config.yml")], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        if (
            not wait_until(lambda: ports.is_taken(port) or process.poll() is not None, 60)
            or process.poll() is not None
        ):
            raise BundleError(f"{PROGRAM} did not start: {(folder / 'log').read_text()[-500:]}")
        yield address
    finally:
        process.terminate()
        process.wait()
        process.release()


def push(program: str, image: str, address: str) -> tuple[str, dict[str, Any]]:
    """Push an image, with docker, podman or buildah; its digest, and its manifest."""
    insecure = (
        ["--tls-verify=false"] if program in BUILDS_ALIKE else []
    )  # docker takes loopback without TLS by itself
    name = f"{address}/{image}"
    run(program, "tag", image, name)
    run(program, "push", "--quiet", *insecure, name)
    run(program, "rmi", name)
    repository, _, tag = image.partition(":")
    answer = requests.get(
        f"http://{address}/v2/{repository}/manifests/{tag}",
        headers={"accept": ", ".join(referrers.MANIFESTS)},
        timeout=60,
    )
    answer.raise_for_status()
    return answer.headers["docker-content-digest"], answer.json()


def pulled(program: str, repository: str, digest: str, address: str) -> str:
    """The id of what is pulled by its digest, under no name of the build's."""
    insecure = ["--tls-verify=false"] if program == "podman" else []
    name = f"{address}/{repository}@{digest}"
    run(program, "pull", "--quiet", *insecure, name)
    return identity(program, name)
