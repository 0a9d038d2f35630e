"""What is in an image and in its layers: nothing that serving does not read, and layers that change one at a time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from bundle import BundleError
from deploy.docker import engine
from deploy.docker.command import run
from deploy.docker.engine import Build, Engine

PYTHON = "/app/.venv/bin/python"
INSIDE = Path(__file__).with_name("contents.py")
MODEL_LAYERS = 1  # the last one with files
# Bytes of the CPU's image with the demo model. Others are larger by their packages and weights, and have no limit here.
LARGEST = {"unpacked": 1.35e9, "compressed": 0.46e9}
AGAIN, NEW_MODEL = "-again", "-new-model"  # of the names of an image's other builds


def layers(program: str, image: str) -> list[str]:
    """The digests of the image's layers, the base's first."""
    found: list[str] = json.loads(run(program, "image", "inspect", image))[0]["RootFS"]["Layers"]
    return found


def identity(program: str, image: str) -> str:
    """The image's id: the digest of its configuration, which names its layers, labels and history."""
    return run(program, "image", "inspect", "--format", "{{.Id}}", image).strip().removeprefix("sha256:")


def check(program: str, image: str) -> None:
    """Look for what an image must not hold.

    Raises:
        BundleError: there is some.
    """
    words = ["run", "--rm", "--interactive", *engine.own_limits(), f"--entrypoint={PYTHON}", image, "-"]
    said = json.loads(run(program, *words, given=INSIDE.read_text("utf-8")))
    if not said["compiled"]:
        raise BundleError("it holds no compiled files: every start would compile its modules")
    if said["unwanted"] or said["stale"]:
        raise BundleError(f"it holds {said['unwanted'][:5]}, and stale compiled files {said['stale'][:5]}")
    print(f"  no tests, pip, headers or doubles in it; {said['compiled']} compiled files, each of its source")


def check_size(kind: str, size: int, limited: bool) -> None:
    """Raises BundleError if an image whose size is limited is larger: `unpacked`, or `compressed` as it is pushed."""
    if limited and size > LARGEST[kind]:
        raise BundleError(
            f"it has {size / 1e6:.0f} MB {kind}, more than {LARGEST[kind] / 1e6:.0f} MB: see what was added to it"
        )


def same_again(chosen: Engine, build: Build, program: str, image: str) -> tuple[Engine, str]:
    """Build it again from nothing, by the other one of podman and buildah where both are here: by whom, and its name.

    Args:
        build: as the image was built, labels included.

    Raises:
        BundleError: a layer is another one, or the image.
    """
    by = engine.beside(chosen)
    other = image + AGAIN
    by.build(replace(build, tag=other, more=(*build.more, "--no-cache")), quiet=True)
    first, second = layers(program, image), layers(program, other)
    if differ := [number for number, (one, two) in enumerate(zip(first, second, strict=True)) if one != two]:
        raise BundleError(f"built again from nothing by {by.name} its layers {differ} differ")
    if (one := identity(program, image)) != (two := identity(program, other)):
        raise BundleError(f"built again from nothing by {by.name} it is another image, {two}, not {one}")
    print(f"  built again from nothing by {by.name}: the same image {one[:12]}", flush=True)
    return by, other


def new_model(chosen: Engine, build: Build, program: str, image: str, context: Path) -> None:
    """Build it with another version of its model: of the layers, only the model's may change.

    Raises:
        BundleError: another layer changes too.
    """
    described = Path("models") / build.arguments.get("MODEL", "demo") / "model.yaml"
    if not described.is_file():
        print(f"  not tried: a new model, since there is no {described}")
        return
    copy_context(build.context, context)
    text = re.sub(r"^version:.*\n", "", described.read_text("utf-8"), flags=re.MULTILINE)
    (context / described).write_text(f'version: "9.9"\n{text}', "utf-8")
    other = image + NEW_MODEL
    chosen.build(replace(build, context=context, file=build.file.resolve(), tag=other), quiet=True)
    first, second = layers(program, image), layers(program, other)
    changed = [number for number, (one, two) in enumerate(zip(first, second, strict=True)) if one != two]
    if not changed or min(changed) < len(first) - MODEL_LAYERS:
        raise BundleError(f"with a new version of the model the layers {changed} of {len(first)} change")
    print(
        f"  with a new version of the model only layer {changed[0]} of 0 to {len(first) - 1} changes",
        flush=True,
    )


def forget(program: str, image: str) -> None:
    """Remove the image and its other builds from the engine's store; what they were built from stays in its cache."""
    names = [image, image + AGAIN, image + NEW_MODEL]
    subprocess.run([program, "rmi", "--force", *names], capture_output=True)


def copy_context(context: Path, target: Path) -> None:
    """The files that .dockerignore lets in."""
    lines = (context / ".dockerignore").read_text("utf-8").splitlines()
    target.mkdir(parents=True)
    shutil.copy(context / ".dockerignore", target)
    for pattern in (line[1:] for line in lines if line.startswith("!")):
        for found in context.glob(pattern):
            place = target / found.relative_to(context)
            place.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(found, place)


def copied(program: str, image: str, file: str, folder: Path) -> Path:
    """A file of an image, copied into a folder that every user may read.

    Raises:
        BundleError: it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / Path(file).name
    command = [program, "run", "--rm", *engine.own_limits(), "--entrypoint=cat", image, file]
    with target.open("wb") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise BundleError(f"{file} of {image} cannot be read: {done.stderr.strip()}")
    target.chmod(0o644)
    folder.chmod(0o755)
    return target
