"""Refuse a tritonserver with which a start would fail or warn: Dockerfile.triton asks it while it builds.

python -m serving.triton.verify
"""

from __future__ import annotations

import sys

from bundle.command_line import Parser
from serving.model_server import ServerError
from serving.triton import installation


def main() -> int:
    Parser(prog="python -m serving.triton.verify", description="Check the tritonserver.").parse_args()
    try:
        found = installation.find()
        found.check()
        if why := found.outdated():
            raise ServerError(why)
    except ServerError as exc:
        print(f"triton: {exc}", file=sys.stderr)
        return 1
    print(f"triton: {found.executable}, version {found.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
