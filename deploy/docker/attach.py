"""Attach the bill of materials to a pushed image: as an artifact that refers to it, as `oras attach` would.

    python -m deploy.docker.attach https://REGISTRY/REPOSITORY DIGEST build/image/sbom.cdx.json

The credentials of a registry are not handled here: where it asks for some, use `oras attach` or `cosign attest`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import requests

from bundle import BundleError
from bundle.command_line import Parser, exit_status
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
    if scheme not in ("https", "http") or not name:
        parser.error(f"{args.repository} is no repository: https://REGISTRY/REPOSITORY")
    where = f"{scheme}://{host}/v2/{name}"
    return exit_status("attach", lambda: attach(where, args.digest, args.bill), args.bill)


def attach(repository: str, digest: str, bill: Path) -> None:
    """Attach it, and print the artifact's digest.

    Raises:
        BundleError: the registry refuses it, or cannot be reached.
        OSError: the file cannot be read.
    """
    try:
        print(referrers.attach(repository, digest, bill.read_bytes()))
    except requests.RequestException as exc:
        refused = exc.response is not None and exc.response.status_code in (401, 403)
        advice = ": where it asks for credentials, use `oras attach` or `cosign attest`" if refused else ""
        raise BundleError(f"{exc}{advice}") from None


if __name__ == "__main__":
    sys.exit(main())
