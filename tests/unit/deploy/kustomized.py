"""What `kubectl kustomize` makes of deploy/kubernetes, as documents by kind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KSERVE = ROOT / "deploy" / "kserve"
Document = dict[str, Any]


@cache
def render(folder: Path) -> dict[str, Document]:
    """Every document of a kustomization, by kind: none has two of a kind."""
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    documents = list(yaml.safe_load_all(done.stdout))
    by_kind = {document["kind"]: document for document in documents}
    assert len(by_kind) == len(documents)
    return by_kind


def overlay(name: str) -> dict[str, Document]:
    return render(KUBERNETES / "overlays" / name)


def with_components(folder: Path, overlay: str, components: Sequence[str]) -> dict[str, Document]:
    """An overlay with further components, as its user would add them."""

    def relative(path: Path) -> str:
        return os.path.relpath(path, folder.resolve())

    (folder / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": [relative(KUBERNETES / "overlays" / overlay)],
                "components": [relative(KUBERNETES / "components" / name) for name in components],
            }
        )
    )
    return render(folder)


def pod(documents: dict[str, Document]) -> Document:
    """The Deployment's pod template."""
    template: Document = documents["Deployment"]["spec"]["template"]
    return template


def server(documents: dict[str, Document]) -> Document:
    """The one container."""
    (container,) = pod(documents)["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def option(container: Document, name: str) -> str:
    """What follows an option in the container's arguments."""
    arguments: list[str] = container["args"]
    return arguments[arguments.index(name) + 1]
