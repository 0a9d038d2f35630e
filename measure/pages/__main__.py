"""`make docs`: write what README.md and docs/*.md quote from code and results.

python -m measure.pages [--check]
"""

from __future__ import annotations

import sys

from bundle.command_line import Parser
from measure.pages import write


def main() -> int:
    parser = Parser(prog="python -m measure.pages", description="Write what the pages quote.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is stale")
    return 0 if write(check=parser.parse_args().check) else 1


if __name__ == "__main__":
    sys.exit(main())
