"""A virtual environment of its own for software that cannot share this repository's: other servers, other clients."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from measure import Unavailable

STAMP = "inputs.sha256"
BEHIND = "bundle.pth"  # names the folder of packages that are found after the environment's own


def python(folder: Path, requirements: Path, *, behind: str = "", options: Sequence[str] = ()) -> Path:
    """The interpreter of the environment, made on first use and again when its requirements change.

    Args:
        folder: where it is, under build/.
        requirements: what pip installs, pinned.
        behind: a folder of packages that are found after those.
        options: for pip.

    Raises:
        Unavailable: it cannot be installed; has pip's reason.
    """
    interpreter, stamp = folder / "bin" / "python", folder / STAMP
    inputs = f"{sys.version} {behind} {' '.join(options)}\n{requirements.read_text('utf-8')}"
    wanted = hashlib.sha256(inputs.encode()).hexdigest()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # another of the suite's processes may be making it
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if stamp.is_file() and stamp.read_text("utf-8") == wanted:
            return interpreter
        venv.create(folder, clear=True, with_pip=False)
        if behind:
            (own,) = folder.glob("lib/python*/site-packages")
            (own / BEHIND).write_text(f"{behind}\n", "utf-8")
        # this repository's pip installs into it, which saves the seconds of installing another
        command = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "-q", *options]
        done = subprocess.run([*command, "-r", str(requirements)], capture_output=True, text=True)
        if done.returncode != 0:
            reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise Unavailable(f"pip cannot install it: {(reasons or ['no reason given'])[-1]}")
        stamp.write_text(wanted, "utf-8")
    return interpreter
