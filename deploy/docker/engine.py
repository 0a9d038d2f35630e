"""The container engine that is there: docker, podman or buildah, and which words each takes."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bundle import BundleError
from deploy.docker import configuration

NAMES = ("docker", "podman", "buildah")
# Of every file of a layer and of the image, so that the same files are the same layer on every day and at every commit.
# The day after 1980 began, the earliest that a zip file can hold in any time zone: a start may pack an archive.
EPOCH = 315_619_200
BUILDS_ALIKE = ("podman", "buildah")
CAP_SYS_RESOURCE = 1 << 24
PODMAN_PROCESSES = 32_768  # what podman 4 limits its own children to; a container may not have more
LINUX_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Build:
    """One build.

    Attributes:
        file: the Dockerfile.
        context: the folder that it copies from.
        arguments, labels, secrets: by name; of a secret its file.
        contexts: folders that stand for stages, by the stage's name.
        volumes: folders of this machine that steps see at the same place. docker has no such thing.
        target: the stage; the last one if empty.
        tag: what the result is called; nothing is kept under a name if empty.
        output: a folder that gets the result's files, instead of an image.
        more: words for the engine as they are.
    """

    file: Path
    context: Path = Path()
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    contexts: Mapping[str, Path] = field(default_factory=dict)
    volumes: Sequence[str] = ()
    target: str = ""
    tag: str = ""
    output: Path | None = None
    more: Sequence[str] = ()


@dataclass(frozen=True)
class Engine:
    """A container engine by its name; all three take most words alike."""

    name: str

    def build_command(self, build: Build, epoch: int = EPOCH) -> list[str]:
        words = [self.name, "build", "--file", str(build.file)]
        arguments = dict(build.arguments)
        if self.name in BUILDS_ALIKE:
            # docker's form of an image: OCI's has no HEALTHCHECK
            words += ["--format", "docker", "--layers", "--timestamp", str(epoch), *own_limits()]
        else:
            arguments["SOURCE_DATE_EPOCH"] = str(epoch)
        words += [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        words += [word for name, value in build.labels.items() for word in ("--label", f"{name}={value}")]
        words += [
            word for name, file in build.secrets.items() for word in ("--secret", f"id={name},src={file}")
        ]
        words += [
            word
            for name, folder in build.contexts.items()
            for word in ("--build-context", f"{name}={folder}")
        ]
        words += [word for folder in build.volumes for word in ("--volume", f"{folder}:{folder}:ro")]
        words += ["--target", build.target] if build.target else []
        words += ["--tag", build.tag] if build.tag else []
        words += ["--output", f"type=local,dest={build.output}"] if build.output else []
        return [*words, *build.more, str(build.context)]

    def build(self, build: Build, quiet: bool = False) -> None:
        """Build it; what the engine says goes to the terminal.

        What podman or buildah build under a name is the same image, to its digest, whenever they build the same files.

        Raises:
            BundleError: the engine failed, and has said why.
        """
        # docker's provenance names the time of the build, and makes an index of the image
        environment = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        done = subprocess.run(
            self.build_command(build),
            env=environment,
            capture_output=quiet,
            text=True,
        )
        if done.returncode:
            if quiet:
                print(done.stdout, done.stderr)
            raise BundleError(f"{self.name} could not build {build.file}")
        if build.tag and self.name in BUILDS_ALIKE:
            configuration.settle(self.name, build.tag)


def find(wanted: str = "") -> Engine:
    """The engine of that name, else the first one that is there and answers.

    Raises:
        BundleError: there is none.
    """
    for name in (wanted,) if wanted else NAMES:
        if shutil.which(name) and (name != "docker" or answers(name)):
            return Engine(name)
    if wanted:
        raise BundleError(
            f"ENGINE={wanted} is not installed here, is podman by another name, or its daemon does not answer"
        )
    raise BundleError(f"no container engine is here: install one of {', '.join(NAMES)}")


def beside(chosen: Engine) -> Engine:
    """The other one of podman and buildah, which build alike; the same one where there is no other."""
    others = [name for name in BUILDS_ALIKE if name != chosen.name and shutil.which(name)]
    return Engine(others[0]) if others and chosen.name in BUILDS_ALIKE else chosen


def starting(chosen: Engine) -> str:
    """The engine that starts what another has built: buildah starts nothing.

    Raises:
        BundleError: it is not there.
    """
    if chosen.name != "buildah":
        return chosen.name
    if shutil.which("podman") is None:
        raise BundleError("ENGINE=buildah builds an image but starts none: install podman too")
    return "podman"


def answers(name: str) -> bool:
    """Whether docker's daemon does; not podman under docker's name, which would take podman's words."""
    try:
        said = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=60).stdout
        if "podman" in said.lower():
            return False
        return subprocess.run([name, "info"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def own_limits() -> list[str]:
    """Limits as options, where this process is a root that may not raise them: podman and buildah would try to."""
    if os.geteuid() or not LINUX_STATUS.exists() or _effective_capabilities() & CAP_SYS_RESOURCE:
        return []
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = min(resource.getrlimit(resource.RLIMIT_NPROC)[1], PODMAN_PROCESSES)
    return ["--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"]


def _effective_capabilities() -> int:
    lines = LINUX_STATUS.read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))
