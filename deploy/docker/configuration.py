"""An image's configuration without what belongs to one build, so that two builds of the same files are the same image.

podman and buildah write into docker's form of it random names (of the container that a step ran in, and of that one's
host), the images of the steps before, and their own version. buildah 1.41 no longer writes the random ones. None of it
has a meaning for whoever runs the image.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.docker.command import run

OF_ONE_BUILD = ("container", "container_config", "docker_version", "parent")
OF_ONE_CONTAINER = ("Hostname", "Domainname", "Image")
ENGINE_LABEL = "io.buildah.version"
STEP_BEFORE = re.compile(r"FROM \S+")  # the whole comment of a step
# buildah compresses what it writes into a folder, podman does not
UNCOMPRESSED = {"podman": (), "buildah": ("--disable-compression",)}


def settled(found: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in docker's form → the same one without what belongs to one build."""
    kept = {name: value for name, value in found.items() if name not in OF_ONE_BUILD}
    inner = {name: value for name, value in found["config"].items() if name not in OF_ONE_CONTAINER}
    inner["Labels"] = {
        name: value for name, value in (inner.get("Labels") or {}).items() if name != ENGINE_LABEL
    }
    kept["config"] = inner
    kept["history"] = [
        {
            name: value
            for name, value in step.items()
            if not (name == "comment" and STEP_BEFORE.fullmatch(value))
        }
        for step in found.get("history", ())
    ]
    return kept


def settle(program: str, image: str) -> None:
    """Give an image's name to the same image with a settled configuration.

    Args:
        program: podman or buildah.
        image: its name in the engine's store.

    Raises:
        BundleError: the engine failed.
    """
    with tempfile.TemporaryDirectory() as written:
        folder = Path(written)
        run(program, "push", "--quiet", "--format=v2s2", *UNCOMPRESSED[program], image, f"dir:{folder}")
        rewrite(folder)
        # of the layers none is copied: the store has them
        made = run(program, "pull", "--quiet", f"dir:{folder}").split()[-1]
    run(program, "tag", made, image)


def rewrite(folder: Path) -> None:
    """Replace the configuration of an image that lies in a folder, one file a blob."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    config = manifest["config"]
    before = folder / config["digest"].removeprefix("sha256:")
    content = json.dumps(settled(json.loads(before.read_text("utf-8"))), sort_keys=True).encode()
    before.unlink()
    digest = hashlib.sha256(content).hexdigest()
    (folder / digest).write_bytes(content)
    config |= {"digest": f"sha256:{digest}", "size": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
