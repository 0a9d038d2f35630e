"""make fuzz-api: what the description allows, and what not, is sent to a server; every answer is as described.

schemathesis makes the requests from /openapi.json; `api_hooks` puts audio into half of their bodies.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import requests
from rich.console import Console

from bundle import BundleError, sources
from bundle.command_line import Parser
from measure import ROOT, server

CASES = 2000
SEED = 1
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "described_code"),
)


class Fuzzed(NamedTuple):
    """What one run found.

    Attributes:
        clips: how many requests that carry clips were answered with each status.
        questions: the same of all others.
        failed: whether an answer was not as described, or there was none.
        said: what schemathesis printed: each failure with a curl command that shows it again.
    """

    clips: dict[str, int]
    questions: dict[str, int]
    failed: bool
    said: str


def fuzz(
    url: str,
    cases: int,
    phases: Sequence[str],
    *,
    seed: int = SEED,
    token: str = "",
    leave_out: str = "",
) -> Fuzzed:
    """Send about so many requests.

    Args:
        url: a server's base address.
        cases: divided equally among the operations; there may be a few more.
        phases: schemathesis' own: "examples" of the description, some hundred and fifty; "coverage",
            every boundary of every schema, more than ten thousand; "fuzzing", as many as `cases` says.
        seed: of what is random.
        token: where the server asks for one.
        leave_out: paths that are not asked, a regular expression.
    """
    document = requests.get(f"{url}/openapi.json", timeout=60).json()
    asked = [
        item for path, item in document["paths"].items() if not leave_out or not re.search(leave_out, path)
    ]
    operations = sum(len(item.keys() & {"get", "post", "put"}) for item in asked)
    options = {
        "checks": ",".join(CHECKS),
        "phases": ",".join(phases),
        "max-examples": str(-(-cases // operations)),
        "seed": str(seed),
        "generation-database": "none",
        "warnings": "off",
    }
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "run", f"{url}/openapi.json"]
    command += [f"--{name}={value}" for name, value in options.items()]
    command += ["--exclude-path-regex", leave_out] if leave_out else []
    command += ["--continue-on-failure", *(["--header", f"Authorization:Bearer {token}"] if token else [])]
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'handler'}",
            "SCHEMATHESIS_HOOKS": "tests.fuzz.api_hooks",
            "FUZZ_API_ANSWERS": str(answers),
        }
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        found = json.loads(answers.read_text()) if answers.exists() else {"clips": {}, "questions": {}}
    return Fuzzed(found["clips"], found["questions"], done.returncode != 0, done.stdout + done.stderr)


def told(statuses: dict[str, int]) -> str:
    each = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    return f"{sum(statuses.values())} ({each})"


def main() -> int:
    parser = Parser(prog="make fuzz-api", description="Fuzz a server by the description of its API.")
    server.add_options(parser)
    parser.add_argument(
        "--cases", type=int, default=CASES, help="about how many requests (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="of what is random (default: %(default)s)")
    parser.add_argument("--coverage", action="store_true", help="every boundary of every schema too")
    args = parser.parse_args()
    console = Console(stderr=True)
    try:
        specs = [] if args.url else [sources.resolve(args.model)]
        with server.chosen(args.url, specs, "fuzz-api", console) as (url, _):
            phases = ["examples", "fuzzing", *(["coverage"] if args.coverage else [])]
            found = fuzz(url, args.cases, phases, seed=args.seed, token=args.token or "")
    except BundleError as exc:
        console.print(f"fuzz-api: {exc}")
        return 1
    sys.stdout.write(
        f"{found.said}\nfuzz-api: answers to clips {told(found.clips)}, to questions {told(found.questions)}\n"
    )
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
