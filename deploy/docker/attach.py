"""Attach the bill of materials to a pushed image: as an artifact that refers to it, as `oras attach` would.

    python -m deploy.docker.attach https://REGISTRY/REPOSITORY DIGEST build/image/sbom.cdx.json

The credentials of a registry are not handled here: where it asks for some, use `oras attach` or `cosign attest`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import requests

from bundle.command_line import Parser
from deploy.docker import referrers


def main() -> int:
    parser = Parser(
        prog="python -m deploy.docker.attach", description="Attach a bill of materials to an image."
    )
    parser.add_argument("repository", help="https://REGISTRY/REPOSITORY")
    parser.add_argument("digest", help="sha256:… of the image")
    parser.add_argument("bill", type=Path, help="the bill of materials, CycloneDX")
    args = parser.parse_args()
    scheme, _, rest = args.repository.partition("://")
    host, _, name = rest.partition("/")
    try:
        print(referrers.attach(f"{scheme}://{host}/v2/{name}", args.digest, args.bill.read_bytes()))
    except (OSError, requests.RequestException) as exc:
        print(f"attach: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
