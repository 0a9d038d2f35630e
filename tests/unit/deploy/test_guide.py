"""docs/deploy.md and its reference pages say what the manifests and the Dockerfile have."""

from __future__ import annotations

import re

import pytest

from tests.unit.deploy import dockerfile
from tests.unit.deploy.kustomized import KUBERNETES, OPTIONS, ROOT, SINGLE, option, overlay, pod, server

DOCS = ROOT / "docs"
TRITON = DOCS / "triton.md"
PAGES = ("deploy.md", "deploy-image.md", "deploy-options.md", "deploy-runs.md")
TEXT = "\n".join((DOCS / name).read_text("utf-8") for name in PAGES)
STEPS = re.findall(r"^## \d\. .*?(?=^## )", (DOCS / "deploy.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)[^):]*\)", TEXT)
    assert len(targets) > 10
    assert [target for target in targets if not (DOCS / target).exists()] == []


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.partition("\n")[0])
def test_every_step_says_what_to_look_at(step: str) -> None:
    assert re.search("look at", step, re.IGNORECASE)
    assert f"[{step.partition(chr(10))[0].removeprefix('## ')}](#" in TEXT


def test_every_path_that_a_command_names_is_there() -> None:
    paths = re.findall(r"(?:-[fk]|^python3) ((?:deploy|clients)/[\w./-]+)", TEXT, re.MULTILINE)
    assert len(paths) > 7
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_build_argument_is_the_dockerfile_s() -> None:
    text = dockerfile.FILE.read_text() + dockerfile.TRITON.read_text()
    named = set(re.findall(r"--build-arg ([A-Z_]+)=", TEXT + TRITON.read_text("utf-8")))
    assert {"MODEL", "PYTHON_IMAGE", "TRITON_IMAGE"} <= named
    assert [name for name in named if not re.search(rf"^ARG {name}=", text, re.MULTILINE)] == []


@pytest.mark.parametrize(
    "component",
    sorted(
        {
            path.name
            for some in (OPTIONS, SINGLE)
            for base, options in some.items()
            if base.parent.name == "overlays"
            for path in options
        }
    ),
)
def test_every_optional_component_has_its_row(component: str) -> None:
    assert (KUBERNETES / "components" / component).is_dir()
    assert f"| `{component}` |" in TEXT


def test_its_numbers_are_the_manifests() -> None:
    container, spec = server(overlay("cpu")), pod(overlay("cpu"))["spec"]
    user = dockerfile.server().last("USER").partition(":")[0]
    for said in (
        f'says "not ready" for {option(container, "--stop-delay")} s',
        f"within {option(container, '--grace')} s",
        f"kills it after {spec['terminationGracePeriodSeconds']} s",
        f"user {user}",
        f"past {spec['volumes'][0]['emptyDir']['sizeLimit'].removesuffix('Gi')} GiB",
    ):
        assert said in " ".join(TEXT.split()), said
