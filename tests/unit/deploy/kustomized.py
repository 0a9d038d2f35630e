"""What `kubectl kustomize` makes of deploy/, overlays with any of their optional components added."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KSERVE = ROOT / "deploy" / "kserve"
OVERLAYS = ["cpu", "gpu", "cpu-keda", "gpu-keda"]
Document = dict[str, Any]

# each kustomization that is meant to be applied, with the components that may be added to it
_ANYWHERE = ["monitoring", "tracing", "tls", "tokens"]
OPTIONS: dict[Path, list[Path]] = {
    KUBERNETES / "overlays" / name: [KUBERNETES / "components" / option for option in options]
    for name, options in {
        # triton changes the pod alone, which has nothing of an autoscaler: not tried with each of them once more
        "cpu": [*_ANYWHERE, "triton"],
        "gpu": [*_ANYWHERE, "triton", "mig"],
        "cpu-keda": [*_ANYWHERE, "keda-to-zero"],
        "gpu-keda": [*_ANYWHERE, "mig", "keda-to-zero"],
    }.items()
} | {
    KSERVE / "stored": [
        KUBERNETES / "components" / "monitoring",
        *(KSERVE / name for name in ("from-s3", "triton", "grpc")),
    ],
    KSERVE / "baked": [KUBERNETES / "components" / "monitoring"],
}
# ways to deliver a model, of which a kustomization has at most one
DELIVERIES: dict[Path, list[Path]] = {
    KUBERNETES / "overlays" / "cpu": sorted((KUBERNETES / "components").glob("model-from-*")),
    KSERVE / "stored": sorted(KSERVE.glob("from-*")),
}
# options that change one thing: each is tried with the options above, which would take twice as long in pairs with it
SINGLE: dict[Path, list[Path]] = {
    KUBERNETES / "overlays" / name: [KUBERNETES / "components" / option for option in options]
    for name, options in {
        "cpu": ["pull-secret", "runtime-class", "gateway-api"],
        "gpu": ["gpu-shared"],
    }.items()
}
EXCLUDED = {"gpu-shared": {"mig", "triton"}, "gateway-api": {"tls"}}  # never together, as their comments say
# a component that is of use only after another
AFTER = {KSERVE / "grpc": KSERVE / "triton"}


@cache
def render(folder: Path) -> list[Document]:
    """Every document of a kustomization."""
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, yaml.CSafeLoader))  # libyaml's is in C, and faster


def by_kind(documents: Sequence[Document]) -> dict[str, Document]:
    """Documents of which none has the kind of another, by it."""
    found = {document["kind"]: document for document in documents}
    assert len(found) == len(documents)
    return found


def overlay(name: str) -> dict[str, Document]:
    return by_kind(render(KUBERNETES / "overlays" / name))


def combined(
    folder: Path, base: Path, components: Sequence[Path], namespace: str | None = None
) -> list[Document]:
    """A copy of an overlay, in a folder of its own, with further components at its list's end.

    Args:
        folder: an empty one, for the copy.
        base: the overlay's folder.
        namespace: in place of the overlay's.
    """
    content: Document = yaml.safe_load((base / "kustomization.yaml").read_text())
    files = {path.name for path in base.iterdir()}
    for key in ("resources", "components", "transformers"):
        if key in content:
            content[key] = [
                os.path.relpath((base / each).resolve(), folder.resolve()) for each in content[key]
            ]
    for name in files - {"kustomization.yaml"}:  # kustomize takes a file from no folder but its own
        (folder / name).write_text((base / name).read_text())
        content["resources"] = [name if Path(each).name == name else each for each in content["resources"]]
    content.setdefault("components", [])
    content["components"] += [os.path.relpath(each, folder.resolve()) for each in components]
    if namespace is not None:
        content["namespace"] = namespace
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return render(folder)


def with_components(folder: Path, overlay: str, components: Sequence[str]) -> dict[str, Document]:
    """An overlay of deploy/kubernetes with components that bring no second object of a kind."""
    paths = [KUBERNETES / "components" / name for name in components]
    return by_kind(combined(folder, KUBERNETES / "overlays" / overlay, paths))


def choices(base: Path) -> Iterator[tuple[Path, ...]]:
    """No option, each alone, and all; each pair too with each device and with each autoscaler, once."""
    options = OPTIONS[base]
    pairs = base.name not in ("cpu-keda", "gpu")
    for number in sorted({0, 1, 2 if pairs else 1, len(options)}):
        for chosen in combinations(options, number):
            if all(AFTER.get(each, each) in chosen for each in chosen):
                yield chosen


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
