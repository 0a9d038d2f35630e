"""`make image-check`: build the image with a real engine, and do with it what a platform does.

python -m deploy.docker.check --engine podman

Builds it, looks at what is in it and at its layers, starts it confined, waits for its HEALTHCHECK, asks and scrapes it
through published ports, plays each cloud platform's start, stops it under load, pushes it to a registry and pulls it by
its digest. A second build from nothing, by the other one of podman and buildah, must have that digest.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import requests

from bundle import BundleError
from bundle.command_line import Parser
from clients.identify import ClientError
from deploy.docker import engine, image, referrers
from deploy.docker.check import base, contents_of, plays, registry, storage
from deploy.docker.check.clouds import SIDES
from deploy.docker.command import run
from deploy.docker.engine import Build, Engine

TAG = "speaker-id-check:1.0-cpu"


def check(chosen: Engine, build: Build, variant: str, once: bool, folder: Path) -> None:
    """All of it.

    Raises:
        BundleError, ClientError, requests.RequestException: what failed.
    """
    program = engine.starting(chosen)
    print(f"image-check: {base.ensure(program, image.base(build))}", flush=True)
    began = time.monotonic()
    made = image.make(chosen, replace(build, tag=TAG), variant)
    about = json.loads(run(program, "image", "inspect", TAG))[0]
    print(
        f"built by {chosen.name} in {time.monotonic() - began:.0f} s: {about['Size'] / 1e9:.2f} GB",
        flush=True,
    )
    limited = variant == "cpu" and build.arguments["MODEL"] == "demo"
    contents_of.check_size("unpacked", about["Size"], limited)
    labelled = replace(build, labels=made.labels)
    contents_of.check(program, TAG)
    contents_of.new_model(chosen, labelled, program, TAG, folder / "context")
    name = next(each["name"] for each in made.bill["components"] if each["type"] == "machine-learning-model")
    mar = contents_of.copied(program, TAG, f"/app/model_store/{name}.mar", folder / "archive")
    plays.whole(program, TAG, name)
    for platform, side in SIDES.items():
        plays.platform(program, TAG, platform, side, mar, folder)
    digest = pushed(program, contents_of.identity(program, TAG), folder / "registry", limited)
    if once or chosen.name not in engine.BUILDS_ALIKE:
        print("not built again from nothing")
        return
    by, other = contents_of.same_again(chosen, labelled, program, TAG)
    if digest:
        with registry.running(folder / "another registry") as address:
            if (second := registry.push(by.name, other, address)[0]) != digest:
                raise BundleError(f"pushed by {by.name} it has the digest {second}")
        print(f"  and the same digest, pushed by {by.name} to another registry")


def pushed(program: str, identity: str, folder: Path, limited: bool) -> str:
    """Push it to a registry, attach its bill of materials, and pull it by its digest.

    Args:
        program: docker or podman.
        identity: its id.
        folder: the registry's.
        limited: whether its size has a limit.

    Returns:
        The digest; empty where no registry is installed.

    Raises:
        BundleError: it is too large; what is pulled, or attached, is another.
    """
    if not registry.available():
        print(f"not pushed: no {registry.PROGRAM} is installed")
        return ""
    with registry.running(folder) as address:
        digest, manifest = registry.push(program, TAG, address)
        sizes = [layer["size"] for layer in manifest["layers"]]
        listed = ", ".join(f"{each / 1e6:.1f}" for each in sizes)
        print(f"pushed as {digest}: {sum(sizes) / 1e6:.0f} MB compressed, by layer {listed}", flush=True)
        contents_of.check_size("compressed", sum(sizes), limited)
        repository = TAG.partition(":")[0]
        if (got := registry.pulled(program, repository, digest, address)) != identity:
            raise BundleError(f"pulled by its digest it is {got}, not {identity}")
        where, bill = f"http://{address}/v2/{repository}", (image.MADE / image.BILL).read_bytes()
        referrers.attach(where, digest, bill)
        if referrers.attached(where, digest) != bill:
            raise BundleError("what is attached to it is not its bill of materials")
    print(
        "pulled by its digest: the same image; its bill of materials is attached and was read back",
        flush=True,
    )
    return digest


def main() -> int:
    parser = Parser(
        prog="make image-check", description="Build the image with a real engine, start it, ask it."
    )
    image.options(parser)
    parser.add_argument(
        "--once", action="store_true", help="do not build it again from nothing, which must be the same image"
    )
    parser.add_argument("--keep", action="store_true", help="keep the built layers for the next run")
    args, more = parser.parse_known_args()
    began = time.monotonic()
    store, ours, program = image.MADE / "storage", False, ""
    try:
        chosen = engine.find(args.engine)
        program = engine.starting(chosen)
        ours = chosen.name in engine.BUILDS_ALIKE and storage.own(store)
        build = image.asked(
            chosen, "torchserve", args.model, args.revision, args.variant, args.torch_index, more
        )
        with tempfile.TemporaryDirectory() as folder:
            check(chosen, build, args.variant, args.once, Path(folder))
    except (BundleError, ClientError, requests.RequestException) as exc:
        print(f"image-check: {exc}", file=sys.stderr)
        return 1
    finally:
        if ours and not args.keep:
            storage.remove(store)
        elif program and not args.keep:
            contents_of.forget(program, TAG)
    print(f"image-check: everything holds, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
