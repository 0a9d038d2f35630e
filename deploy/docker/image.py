"""What `make image` builds: an image with its labels, and its bill of materials as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bundle import BundleError, sources
from bundle.command_line import Parser
from bundle.spec import SPEC_FILE
from deploy.docker import engine, labels, pip_settings
from deploy.docker.engine import Build, Engine

FOLDER = Path("deploy/docker")
MADE = Path("build/image")
BILL = "sbom.cdx.json"
FILES = {"torchserve": "Dockerfile", "triton": "Dockerfile.triton"}
VARIANTS = ("cpu", "cuda")


@dataclass(frozen=True)
class Image:
    """A built image.

    Attributes:
        tag: its name in the engine's store.
        bill: its bill of materials.
        labels: what it says of itself, beside the Dockerfile's labels.
    """

    tag: str
    bill: Mapping[str, Any]
    labels: Mapping[str, str]


def make(chosen: Engine, build: Build, variant: str, made: Path = MADE) -> Image:
    """Build an image: first its bill of materials, then, from the same cached stages, the image with its labels.

    Args:
        chosen: with which engine.
        build: without labels; with an empty tag it is called speaker-id:VERSION-VARIANT, by the model's version.
        variant: cpu, cuda or triton.
        made: where the bill of materials is written.

    Raises:
        BundleError: the engine failed.
    """
    chosen.build(replace(build, target="bill", tag="", output=made))
    bill = json.loads((made / BILL).read_text("utf-8"))
    version = next(each["version"] for each in bill["components"] if each["type"] == "machine-learning-model")
    tag = build.tag or f"speaker-id:{version}-{variant}"
    said = labels.of(bill, tag.rpartition(":")[2], base(build))
    chosen.build(replace(build, labels=said, tag=tag))
    return Image(tag, bill, said)


def base(build: Build) -> str:
    """The image that the Dockerfile's last stage is from."""
    text = build.file.read_text("utf-8")
    name = re.findall(r"^FROM \$\{(\w+)\} AS server$", text, re.MULTILINE)[0]
    default = re.search(rf"^ARG {name}=(\S+)$", text, re.MULTILINE)
    assert default
    given = re.findall(rf"(?<!\S)--build-arg[ =]{name}=(\S+)", " ".join(build.more))
    return given[-1] if given else build.arguments.get(name, default[1])


def asked(
    chosen: Engine,
    server: str,
    model: str,
    revision: str,
    variant: str,
    torch_index: str,
    more: Sequence[str] = (),
    gallery: str = "",
) -> Build:
    """What `make image`'s variables ask for.

    Raises:
        BundleError: no such model; or it, or the gallery, is not below models/, all that the build sees.
    """
    sources.resolve(model, revision)
    if not (sources.MODELS / model / SPEC_FILE).is_file() and Path(model).expanduser().is_dir():
        model = below_models(f"MODEL={model}", model, "models/NAME")
    if gallery:
        gallery = below_models(f"GALLERY={gallery}", gallery, "models/NAME/gallery.safetensors")
    arguments = {"MODEL": model, "REVISION": revision, "GALLERY": gallery}
    if server == "torchserve":
        arguments["VARIANT"] = variant
    if torch_index:
        arguments["TORCH_INDEX"] = torch_index
    given = pip_settings.settings()
    folders = pip_settings.folders(given)
    if folders and chosen.name not in engine.BUILDS_ALIKE:
        print(
            f"image: docker's builds do not see {', '.join(folders)} of pip's settings: serve them over HTTP"
        )
        folders = []
    return Build(
        FOLDER / FILES[server],
        arguments={name: value for name, value in arguments.items() if value},
        secrets=pip_settings.secrets(given, MADE / "pip.conf"),
        volumes=folders,
        more=more,
    )


def below_models(asked: str, given: str, example: str) -> str:
    """A path as the build has it; raises BundleError if the build does not see it."""
    path = Path(given).expanduser().resolve()
    if sources.MODELS.resolve() not in path.parents:
        raise BundleError(
            f"{asked} is not below models/, of which alone an image is built: copy it there, as to {example}"
        )
    return str(path.relative_to(Path.cwd()))


def options(parser: Parser) -> None:
    """The options that `make image` and `make image-check` share."""
    parser.add_argument("--model", default="demo", help="as of make archive (default: %(default)s)")
    parser.add_argument("--revision", default="", help="commit, branch or tag of a hub model")
    parser.add_argument(
        "--variant", choices=VARIANTS, default="cpu", help="which build of torch (default: cpu)"
    )
    parser.add_argument(
        "--engine", choices=engine.NAMES, default="", help="by default the first that is there"
    )
    parser.add_argument("--torch-index", default="", help="package index for the CPU build of torch")
