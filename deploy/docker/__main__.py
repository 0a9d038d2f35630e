"""`make image`: build the image with the container engine that is there, and say what it is.

python -m deploy.docker --model demo --variant cpu --engine podman --tag REG/speaker-id:1.0-cpu
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from bundle.command_line import Parser, exit_status
from deploy.docker import engine, image


def main() -> int:
    parser = Parser(
        prog="make image", description="Build the image. Unknown options are handed to the engine."
    )
    image.options(parser)
    parser.add_argument("--server", choices=image.FILES, default="torchserve", help="behind the gateway")
    parser.add_argument("--gallery", default="", help="enrolled voices, a file below models/")
    parser.add_argument("--tag", default="", help="by default speaker-id:VERSION-VARIANT")
    args, more = parser.parse_known_args()
    return exit_status("image", lambda: make(args, more))


def make(args: Namespace, more: Sequence[str]) -> None:
    began = time.monotonic()
    chosen = engine.find(args.engine)
    build = image.asked(
        chosen, args.server, args.model, args.revision, args.variant, args.torch_index, more, args.gallery
    )
    variant = "triton" if args.server == "triton" else args.variant
    made = image.make(chosen, replace(build, tag=args.tag), variant)
    for name, value in sorted(made.labels.items()):
        print(f"  {name}: {value}")
    took = time.monotonic() - began
    print(f"image: {made.tag}, by {chosen.name} in {took:.0f} s; what is in it: {image.MADE / image.BILL}")


if __name__ == "__main__":
    sys.exit(main())
