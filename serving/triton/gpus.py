"""How many GPUs Triton's workers share: counted once, at its start, as TorchServe counts them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from bundle import private

RECORD = "gpus"  # in the temp folder: whoever loads a version later may see others
SECONDS = 20.0  # nvidia-smi takes several for its first answer where the driver is not kept loaded


def count() -> int:
    """The GPUs that this process may use: of CUDA_VISIBLE_DEVICES, otherwise those that nvidia-smi lists."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        listed = [each.strip() for each in named.split(",")]
        # CUDA looks no further than at the first that is none
        return next((n for n, each in enumerate(listed) if each in ("", "-1")), len(listed))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        ran = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return len(re.findall(r"^GPU \d+:", ran.stdout, re.MULTILINE))


def record(temp: Path) -> int:
    """Count them, for all versions of a server."""
    found = count()
    private.write(temp / RECORD, str(found))
    return found


def recorded(temp: Path) -> int:
    """Those of the server's start."""
    return int((temp / RECORD).read_text("utf-8"))
