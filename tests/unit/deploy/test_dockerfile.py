"""deploy/docker/: Dockerfile and Dockerfile.triton, linted and whole; an engine builds them in `make image-check`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from serving.arguments import parser
from serving.triton import installation, verify
from serving.triton.process import Triton
from tests.unit.deploy import dockerfile
from tests.unit.deploy.dockerfile import FILE, TRITON
from tests.unit.deploy.kustomized import ROOT

FILES = pytest.mark.parametrize("file", [FILE, TRITON], ids=lambda it: it.name)


@FILES
def test_hadolint_finds_nothing(file: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, file], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "")


@FILES
def test_no_stage_is_chosen_by_an_argument(file: Path) -> None:
    """Not every builder selects a stage by an argument's default: buildah 1.28 does not."""
    stages = dockerfile.read(file, PYTHON_IMAGE="chosen", TRITON_IMAGE="chosen")
    assert {stage.base for stage in stages.values()} == {"chosen", "packages", "code", "scratch"}
    # with another name for the base, every stage that needs a base gets it
    assert stages["packages"].base == stages["server"].base == "chosen"


@FILES
def test_the_server_is_no_root_and_its_entrypoint_no_shell(file: Path) -> None:
    server = dockerfile.server(file)
    assert server.last("USER") == "10001:10001"
    assert server.words("ENTRYPOINT")[1:3] == ["-m", "serving.serve"]
    assert server.words("HEALTHCHECK")[1:3] == ["-m", "serving.health"]
    assert not [step for step in server.steps if step[0] in ("RUN", "CMD", "SHELL")]


@FILES
def test_the_server_s_layers_are_in_the_order_of_how_seldom_they_change(file: Path) -> None:
    copied = dockerfile.server(file).copies()
    assert [stage for stage, _ in copied] == ["packages", "code", "code", "model"]
    stages = dockerfile.read(file)
    # neither the packages nor the code depend on the model
    for name in ("packages", "code"):
        assert not {"MODEL", "REVISION"} & {value.partition("=")[0] for value in stages[name].all("ARG")}
        assert "models" not in [word for _, words in stages[name].copies() for word in words]


@FILES
def test_nothing_is_copied_from_a_stage_that_is_not_there(file: Path) -> None:
    stages = dockerfile.read(file)
    copied = {stage for each in stages.values() for stage, _ in each.copies()}
    assert copied - {""} <= set(stages)


def test_with_triton_the_image_differs_in_its_base_and_its_server_only() -> None:
    plain, triton = dockerfile.server(FILE), dockerfile.server(TRITON)
    for instruction in ("WORKDIR", "USER", "EXPOSE", "HEALTHCHECK", "LABEL"):
        assert triton.last(instruction) == plain.last(instruction)
    assert triton.all("COPY") == plain.all("COPY")
    assert triton.all("ENV") == ["TRITONSERVER_ROOT=/opt/tritonserver", plain.last("ENV")]
    words = triton.words("ENTRYPOINT")
    at = words.index("--server")
    assert words[at + 1] == Triton.name
    assert words[:at] + words[at + 2 :] == plain.words("ENTRYPOINT")
    assert parser().parse_args(words[3:]).server == Triton.name


def test_with_triton_the_stages_below_are_built_alike() -> None:
    plain, triton = dockerfile.read(FILE), dockerfile.read(TRITON)
    assert list(plain) == list(triton)
    for name in ("code", "model", "bill"):
        own = [step for step in triton[name].steps if step not in plain[name].steps]
        assert [step for step in plain[name].steps if step not in triton[name].steps] == []
        assert own == [step for step in own if "TRITONSERVER_ROOT" in step[1] or verify.__name__ in step[1]]


def test_triton_is_nvidia_s_of_a_release_with_its_security_fixes() -> None:
    stages = dockerfile.read(TRITON)
    image = re.fullmatch(r"nvcr\.io/nvidia/tritonserver:(\d+\.\d+)-py3", stages["server"].base)
    assert image
    assert float(image[1]) >= float(installation.OLDEST_SAFE_IMAGE)
    # another one is refused: the build fails where a start would warn
    steps = stages["code"].all("RUN")
    assert steps[-1] == f"PYTHONPATH=handler .venv/bin/python -m {verify.__name__}"
    assert f"TRITONSERVER_ROOT={installation.IMAGE}" in stages["code"].all("ENV")
    assert installation.ROOT_VARIABLE == "TRITONSERVER_ROOT"


@FILES
def test_packages_are_checked_by_hash_and_reached_as_the_builder_s_pip_reaches_them(file: Path) -> None:
    (command,) = [step for step in dockerfile.read(file)["packages"].all("RUN") if "bootstrap.py" in step]
    assert "--locked" in command.split()
    assert "id=pip,target=/etc/pip.conf" in command
    assert "id=ca,target=/run/secrets/ca" in command


@FILES
def test_nothing_that_is_copied_is_kept_back_by_dockerignore(file: Path) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for stage in dockerfile.read(file).values()
        for source, words in stage.copies()
        if not source
        for word in words
    }
    assert len(copied) > 5
    assert {
        word for word in copied if not any(word == each or word.startswith(f"{each}/") for each in let_in)
    } == set()
