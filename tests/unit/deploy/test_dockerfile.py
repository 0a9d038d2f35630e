"""deploy/docker/Dockerfile: linted, whole, and followed as a builder would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bundle import BundleError
from deploy.docker.check import dockerfile
from deploy.docker.check.__main__ import DOCKERFILE, TARGET
from deploy.docker.check.builder import Builder
from tests.unit.deploy.kustomized import ROOT

FILE = ROOT / DOCKERFILE


def written(folder: Path, text: str) -> Path:
    (folder / "Dockerfile").write_text(text)
    return folder / "Dockerfile"


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, FILE], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "packages"), [({}, "packages-cpu"), ({"VARIANT": "cuda"}, "packages-cuda")]
)
def test_each_variant_builds_its_own_packages_and_no_others(arguments: dict[str, str], packages: str) -> None:
    stages = dockerfile.needed(dockerfile.read(FILE, arguments), TARGET)
    assert [stage.name for stage in stages] == ["base", packages, "build", "server"]


def test_the_server_is_no_root_and_its_entrypoint_no_shell() -> None:
    server = dockerfile.read(FILE, {})[-1]
    assert server.last("USER") == "10001:10001"
    assert server.exec_form("ENTRYPOINT")[1:3] == ["-m", "serving.serve"]
    assert server.exec_form("HEALTHCHECK")[1:3] == ["-m", "serving.health"]
    assert not any(step.instruction in ("RUN", "CMD", "SHELL") for step in server.steps)


def test_nothing_that_is_copied_is_kept_back_by_dockerignore() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for stage in dockerfile.read(FILE, {})
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
