"""deploy/docker/: Dockerfile and Dockerfile.triton, linted, whole, and followed as a builder would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bundle import BundleError
from deploy.docker.check import dockerfile
from deploy.docker.check.__main__ import DOCKERFILE, TARGET
from deploy.docker.check.builder import Builder
from serving.arguments import parser
from serving.triton import installation, verify
from serving.triton.process import Triton
from tests.unit.deploy.kustomized import ROOT

FILE = ROOT / DOCKERFILE
TRITON = FILE.with_name("Dockerfile.triton")
FILES = pytest.mark.parametrize("file", [FILE, TRITON], ids=lambda it: it.name)


def written(folder: Path, text: str) -> Path:
    (folder / "Dockerfile").write_text(text)
    return folder / "Dockerfile"


@FILES
def test_hadolint_finds_nothing(file: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, file], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "packages"), [({}, "packages-cpu"), ({"VARIANT": "cuda"}, "packages-cuda")]
)
def test_each_variant_builds_its_own_packages_and_no_others(arguments: dict[str, str], packages: str) -> None:
    stages = dockerfile.needed(dockerfile.read(FILE, arguments), TARGET)
    assert [stage.name for stage in stages] == ["base", packages, "build", "server"]


@FILES
def test_the_server_is_no_root_and_its_entrypoint_no_shell(file: Path) -> None:
    server = dockerfile.read(file, {})[-1]
    assert server.last("USER") == "10001:10001"
    assert server.exec_form("ENTRYPOINT")[1:3] == ["-m", "serving.serve"]
    assert server.exec_form("HEALTHCHECK")[1:3] == ["-m", "serving.health"]
    assert not any(step.instruction in ("RUN", "CMD", "SHELL") for step in server.steps)


def test_with_triton_the_image_differs_in_its_base_and_its_server_only() -> None:
    plain, triton = (dockerfile.read(file, {})[-1] for file in (FILE, TRITON))
    for instruction in ("WORKDIR", "USER", "EXPOSE", "HEALTHCHECK", "LABEL"):
        assert triton.last(instruction) == plain.last(instruction)
    assert [step.value for step in triton.steps if step.instruction == "COPY"] == [
        step.value for step in plain.steps if step.instruction == "COPY"
    ]
    variables = [step.value for step in triton.steps if step.instruction == "ENV"]
    assert variables == ["TRITONSERVER_ROOT=/opt/tritonserver", plain.last("ENV")]
    words = triton.exec_form("ENTRYPOINT")
    at = words.index("--server")
    assert words[at + 1] == Triton.name
    assert words[:at] + words[at + 2 :] == plain.exec_form("ENTRYPOINT")
    assert parser().parse_args(words[3:]).server == Triton.name


def test_triton_is_nvidia_s_of_a_release_with_its_security_fixes() -> None:
    packages, build, server = dockerfile.read(TRITON, {})
    image = re.fullmatch(r"nvcr\.io/nvidia/tritonserver:(\d+\.\d+)-py3", server.base)
    assert image
    assert float(image[1]) >= float(installation.OLDEST_SAFE_IMAGE)
    assert packages.base == server.base  # the Python of .venv is the image's
    # another one is built from as a whole, or not at all: the build fails where a start would warn
    assert {stage.base for stage in dockerfile.read(TRITON, {"TRITON_IMAGE": "x"})} == {"x", "packages"}
    steps = [step.value for step in build.steps if step.instruction == "RUN"]
    assert steps[0] == f"PYTHONPATH=handler .venv/bin/python -m {verify.__name__}"
    assert f"TRITONSERVER_ROOT={installation.IMAGE}" in [step.value for step in build.steps]
    assert installation.ROOT_VARIABLE == "TRITONSERVER_ROOT"


def test_with_triton_packages_are_checked_by_hash_too() -> None:
    packages = dockerfile.read(TRITON, {})[0]
    (command,) = [
        step.value for step in packages.steps if "bootstrap.py" in step.value and step.instruction == "RUN"
    ]
    assert "--locked" in command.split()


@FILES
def test_nothing_that_is_copied_is_kept_back_by_dockerignore(file: Path) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for stage in dockerfile.read(file, {})
        for step in stage.steps
        if step.instruction == "COPY" and "--from" not in step.value
        for word in step.value.split()[:-1]
    }
    assert len(copied) > 5
    assert {
        word for word in copied if not any(word == each or word.startswith(f"{each}/") for each in let_in)
    } == set()


def test_the_check_gives_steps_the_arguments_and_variables_of_their_stage(tmp_path: Path) -> None:
    text = "ARG OF=base\nFROM x AS base\nARG A=1\nARG B\nENV C=$A/c D='two words'\nFROM ${OF} AS last\n"
    base, last = dockerfile.read(written(tmp_path, text), {"B": "given"})
    assert last.base == "base"
    known: dict[str, str] = {}
    for step in base.steps:
        if step.instruction == "ARG":
            known |= dockerfile.argument(step.value, {"B": "given"})
        else:
            known |= dockerfile.variables(step.value, known)
    assert known == {"A": "1", "B": "given", "C": "1/c", "D": "two words"}


def test_an_instruction_that_the_check_does_not_follow_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="line 2: ONBUILD is not supported"):
        dockerfile.read(written(tmp_path, "FROM x\nONBUILD RUN true\n"), {})


def test_an_entrypoint_for_a_shell_is_refused(tmp_path: Path) -> None:
    (stage,) = dockerfile.read(written(tmp_path, "FROM x\nENTRYPOINT python -m serving.serve\n"), {})
    with pytest.raises(BundleError, match="not in exec form"):
        stage.exec_form("ENTRYPOINT")


def test_files_are_copied_as_copy_does_it(tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "folder" / "deep").mkdir(parents=True)
    (context / "folder" / "deep" / "file").write_text("in a folder")
    (context / "a.txt").write_text("a")
    (context / "b.txt").write_text("b")
    text = "FROM x\nWORKDIR /app\nCOPY *.txt ./\nCOPY folder there\nCOPY a.txt other/\n"
    (stage,) = dockerfile.read(written(tmp_path, text), {})
    root = Builder(context, tmp_path / "roots", {}).build(stage).root / "app"
    files = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    assert files == {"a.txt": "a", "b.txt": "b", "there/deep/file": "in a folder", "other/a.txt": "a"}


def test_a_file_that_is_not_there_ends_the_check(tmp_path: Path) -> None:
    (stage,) = dockerfile.read(written(tmp_path, "FROM x\nCOPY nothing ./\n"), {})
    with pytest.raises(BundleError, match="line 2: COPY nothing: no such file"):
        Builder(tmp_path, tmp_path / "roots", {}).build(stage)
