"""A Dockerfile as stages of steps, with its arguments filled in; `make image-check` reads it, and repeats none."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from dockerfile_parse import DockerfileParser

from bundle import BundleError

# steps that change files; all others describe the image
DOING = {"WORKDIR", "COPY", "RUN", "ENV", "ARG"}
DESCRIBING = {"USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD", "LABEL", "STOPSIGNAL"}


@dataclass(frozen=True)
class Step:
    """One instruction; `line` counts from 1."""

    instruction: str
    value: str
    line: int


@dataclass
class Stage:
    """The steps from one FROM to the next.

    Attributes:
        name: what AS calls it; its number, from 0, without one.
        base: an image, or the name of an earlier stage.
        steps: its instructions, in order.
    """

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    def last(self, instruction: str) -> str | None:
        """The value of the last instruction of this kind, which is in force; None without one."""
        values = [step.value for step in self.steps if step.instruction == instruction]
        return values[-1] if values else None

    def exec_form(self, instruction: str) -> list[str]:
        """The words of ENTRYPOINT, CMD or HEALTHCHECK's CMD.

        Raises:
            BundleError: it is missing, or a line for a shell, which would keep signals from the server.
        """
        value = self.last(instruction) or ""
        try:
            words = json.loads(value[value.index("[") :])
        except ValueError:
            raise BundleError(f"stage {self.name}: {instruction} {value!r} is not in exec form") from None
        return [str(word) for word in words]


def read(file: Path, arguments: Mapping[str, str]) -> list[Stage]:
    """The stages of a Dockerfile, in order.

    Args:
        file: the Dockerfile.
        arguments: what --build-arg would give; the file's defaults hold for the rest.

    Raises:
        BundleError: an instruction that `make image-check` does not know how to follow.
    """
    with file.open(encoding="utf-8") as content:  # by its path, only one that is called Dockerfile
        structure = DockerfileParser(fileobj=content).structure
    stages: list[Stage] = []
    given: dict[str, str] = {}  # the arguments before the first FROM, for FROM
    for entry in structure:
        step = Step(entry["instruction"], entry["value"], entry["startline"] + 1)
        if step.instruction == "COMMENT":
            continue
        if step.instruction == "FROM":
            image, _, name = Template(step.value).substitute(given).partition(" AS ")
            stages.append(Stage(name or str(len(stages)), image))
        elif not stages and step.instruction == "ARG":
            given.update(argument(step.value, arguments))
        elif stages and step.instruction in DOING | DESCRIBING:
            stages[-1].steps.append(step)
        else:
            raise BundleError(f"{file}, line {step.line}: {step.instruction} is not supported by this check")
    return stages


def argument(value: str, arguments: Mapping[str, str]) -> dict[str, str]:
    """`NAME=default` → the value of NAME; nothing if neither the caller nor the file gives one."""
    name, given, default = value.partition("=")
    if name in arguments:
        return {name: arguments[name]}
    return {name: default} if given else {}


def variables(value: str, known: Mapping[str, str]) -> dict[str, str]:
    """`A=b C=$A` of ENV, with known values filled in."""
    pairs = (word.partition("=") for word in shlex.split(value))
    return {name: Template(text).safe_substitute(known) for name, _, text in pairs}


def needed(stages: list[Stage], target: str) -> list[Stage]:
    """The stages that the target is built from, in order, itself last; others are not built."""
    by_name = {stage.name: stage for stage in stages}
    wanted, found = [target], set[str]()
    while wanted:
        name = wanted.pop()
        if name in by_name and name not in found:
            found.add(name)
            wanted += [by_name[name].base, *sources(by_name[name])]
    return [stage for stage in stages if stage.name in found]


def sources(stage: Stage) -> list[str]:
    """The stages that it copies from."""
    copies = [shlex.split(step.value) for step in stage.steps if step.instruction == "COPY"]
    return [word.removeprefix("--from=") for words in copies for word in words if word.startswith("--from=")]
