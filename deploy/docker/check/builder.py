"""A Dockerfile's stages, executed one after the other in folders: as `docker build` does, without layers."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bundle import BundleError
from deploy.docker.check import dockerfile, sandbox
from deploy.docker.check.dockerfile import Stage

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# how this machine reaches its package index; nothing else of its environment is passed
PASSED_ON = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass
class Built:
    """The result of a stage: its files and its environment."""

    root: Path
    where: str
    variables: dict[str, str]


class Builder:
    """Executes stages, one after the other.

    Args:
        context: the folder that COPY takes from; tracked files and those that git does not ignore.
        roots: where each stage gets a root of its own.
        arguments: what --build-arg would give.
        given: folders of this machine that replace what RUN would create, by their place; no RUN is executed then.
    """

    def __init__(
        self,
        context: Path,
        roots: Path,
        arguments: Mapping[str, str],
        given: Mapping[str, Path] | None = None,
    ) -> None:
        self.context = context
        self.roots = roots
        self.arguments = dict(arguments)
        self.given = dict(given or {})
        self.built: dict[str, Built] = {}

    def build(self, stage: Stage) -> Built:
        """Execute one stage; those that it needs have been built.

        Raises:
            BundleError: a step fails; says which line.
        """
        root = self.roots / stage.name
        if stage.base in self.built:
            base = self.built[stage.base]
            # links, not copies: packages are gigabytes, and pip replaces files instead of writing into them
            shutil.copytree(base.root, root, symlinks=True, copy_function=os.link)
            now = Built(root, base.where, dict(base.variables))
        else:
            root.mkdir(parents=True)
            sandbox.make_root(root)
            now = Built(root, "/", {"PATH": PATH})
        for step in stage.steps:
            if step.instruction == "WORKDIR":
                now.where = step.value
                (root / step.value.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif step.instruction == "ARG":
                now.variables |= dockerfile.argument(step.value, self.arguments)
            elif step.instruction == "ENV":
                now.variables |= dockerfile.variables(step.value, now.variables)
            elif step.instruction == "COPY":
                self.copy(now, Template(step.value).safe_substitute(now.variables), step.line)
            elif step.instruction == "RUN" and not self.given:
                print(f"line {step.line}: RUN {step.value}", flush=True)
                self.run(now, step.value, step.line)
        self.built[stage.name] = now
        return now

    def run(self, now: Built, line: str, number: int) -> None:
        passed = {name: value for name, value in os.environ.items() if name.upper().startswith(PASSED_ON)}
        variables = {"HOME": "/tmp", **passed, **now.variables}  # noqa: S108  # of the root's own
        done = subprocess.run(sandbox.command(now.root, ["/bin/sh", "-c", line], now.where, variables))
        if done.returncode:
            raise BundleError(f"line {number}: RUN {line} exits with {done.returncode}")

    def copy(self, now: Built, value: str, number: int) -> None:
        words = shlex.split(value)
        options = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        origin = self.context
        for option in options:
            name, _, stage = option.partition("=")
            if name != "--from":
                raise BundleError(f"line {number}: COPY {name} is not supported by this check")
            origin = self.built[stage].root
        place = now.root / now.where.lstrip("/") / target
        for source in sources:
            found = sorted(origin.glob(source.lstrip("/")))
            if not found and self.given and "--from" in value:
                place.mkdir(parents=True, exist_ok=True)  # a RUN would have created it: mounted there instead
            elif not found:
                raise BundleError(f"line {number}: COPY {source}: no such file")
            for each in found:
                copy_one(each, place, into=target.endswith("/"), link=origin != self.context)


def copy_one(source: Path, place: Path, into: bool, link: bool) -> None:
    """Copy a file to a place or into it; of a folder its content, as COPY does."""
    function = os.link if link else shutil.copy2
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info") if not link else None
        shutil.copytree(
            source, place, symlinks=True, ignore=ignored, copy_function=function, dirs_exist_ok=True
        )
    else:
        goal = place / source.name if into or place.is_dir() else place
        goal.parent.mkdir(parents=True, exist_ok=True)
        function(source, goal)
