"""deploy/docker's Dockerfiles as stages of instructions, for tests that compare them with other files."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from dockerfile_parse import DockerfileParser

from deploy.docker.image import FILES, FOLDER
from tests.unit.deploy.kustomized import ROOT

FILE = ROOT / FOLDER / FILES["torchserve"]
TRITON = ROOT / FOLDER / FILES["triton"]


@dataclass
class Stage:
    """The instructions from one FROM to the next, in order, as pairs of a name and a value."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [value for name, value in self.steps if name == instruction]

    def last(self, instruction: str) -> str:
        """The one that is in force; empty without one."""
        return (self.all(instruction) or [""])[-1]

    def words(self, instruction: str) -> list[str]:
        """The words of ENTRYPOINT, or of HEALTHCHECK's CMD; not a line for a shell, which keeps signals."""
        value = self.last(instruction)
        found: list[str] = json.loads(value[value.index("[") :])
        return found

    def copies(self) -> list[tuple[str, list[str]]]:
        """Of every COPY the stage that it is from, empty for the context, and what is copied."""
        lines = [shlex.split(value) for value in self.all("COPY")]
        return [
            (
                "".join(word.removeprefix("--from=") for word in words if word.startswith("--from=")),
                [word for word in words if not word.startswith("--")][:-1],
            )
            for words in lines
        ]


def read(file: Path = FILE, **arguments: str) -> dict[str, Stage]:
    """The stages by name.

    Args:
        file: which Dockerfile.
        arguments: what --build-arg would give of those before the first FROM; the file's defaults hold for the rest.
    """
    with file.open(encoding="utf-8") as content:  # by its path, only one that is called Dockerfile
        structure = DockerfileParser(fileobj=content).structure
    stages: list[Stage] = []
    known: dict[str, str] = {}
    for entry in structure:
        instruction, value = entry["instruction"], entry["value"]
        if instruction == "FROM":
            base, _, name = Template(value).substitute(known).partition(" AS ")
            stages.append(Stage(name, base))
        elif instruction == "ARG" and not stages:
            name, _, default = value.partition("=")
            known[name] = arguments.get(name, default)
        elif instruction != "COMMENT":
            stages[-1].steps.append((instruction, value))
    return {stage.name: stage for stage in stages}


def server(file: Path = FILE) -> Stage:
    return read(file)["server"]


def environment(stage: Stage) -> dict[str, str]:
    """What ENV sets."""
    pairs = [word.partition("=") for value in stage.all("ENV") for word in shlex.split(value)]
    return {name: value for name, _, value in pairs}
