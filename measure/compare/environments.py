"""One virtual environment a peer: build/peers/NAME, with what measure/compare/peers/NAME/requirements.txt pins.

python -m measure.compare.environments [NAME …]

torch, transformers and what decodes audio are not installed again: a peer finds this repository's behind its own
packages, so that all of them run the same versions.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from measure import ROOT, Unavailable, environment
from measure.command import Say

PEERS = ROOT / "measure" / "compare" / "peers"
ENVIRONMENTS = ROOT / "build" / "peers"


def python(peer: str) -> Path:
    """The interpreter of the peer's environment.

    Raises:
        Unavailable: it cannot be installed; has pip's reason.
    """
    requirements = PEERS / peer / "requirements.txt"
    return environment.python(ENVIRONMENTS / peer, requirements, behind=sysconfig.get_path("purelib"))


def versions(peer: str, interpreter: Path) -> str:
    """What the requirements pin, as installed: `litserve 0.2.19`."""
    pins = (PEERS / peer / "requirements.txt").read_text()
    names = re.findall(r"^([\w.-]+)(?:\[.*\])?==", pins, re.MULTILINE)
    code = (
        "import sys, importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"
    )
    done = subprocess.run([str(interpreter), "-c", code, *names], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def names() -> list[str]:
    return sorted(file.parent.name for file in PEERS.glob("*/requirements.txt"))


def build(peers: list[str], say: Say) -> dict[str, str]:
    """Make each; gives the reason for each that cannot be made."""
    absent = {}
    for peer in peers:
        try:
            say(f"{peer}: {versions(peer, python(peer))}")
        except Unavailable as exc:
            absent[peer] = str(exc)
            say(f"{peer}: {exc}")
    return absent


if __name__ == "__main__":
    sys.exit(1 if build(sys.argv[1:] or names(), lambda text: print(text, flush=True)) else 0)
