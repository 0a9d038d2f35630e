"""The base image where no registry can be reached: Debian with Python, made by mmdebstrap, under the same name."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bundle import BundleError
from deploy.docker.engine import EPOCH, Build, Engine

PACKAGES = "python3,python3-venv,ca-certificates,libexpat1"
# as in Docker's slim images
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
LICENCES = "/usr/share/doc/*/copyright"
# built, not imported: an import has the time at which it was made
FILE = "FROM scratch\nADD base.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"


def ensure(program: str, name: str) -> str:
    """Make sure that the engine's store has the base image.

    Args:
        program: docker or podman.
        name: such as python:3.11-slim-bookworm; the Debian release is its last word.

    Returns:
        Where it is from, for the report.

    Raises:
        BundleError: it can neither be pulled nor made here.
    """
    if subprocess.run([program, "image", "inspect", name], capture_output=True).returncode == 0:
        return f"{name} is in {program}'s store already"
    if subprocess.run([program, "pull", "--quiet", name], capture_output=True).returncode == 0:
        return f"{name} was pulled"
    if not shutil.which("mmdebstrap"):
        raise BundleError(f"no registry has {name}, and without mmdebstrap and root no stand-in can be made")
    release = name.partition("@")[0].rpartition("-")[2]
    print(f"image-check: no registry can be reached: mmdebstrap makes a stand-in for {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "Dockerfile"
        file.write_text(FILE)
        excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", *excluded]
        command += [f"--dpkgopt=path-include={LICENCES}", release, str(file.with_name("base.tar"))]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise BundleError(f"mmdebstrap could not make {release}: {done.stderr.strip()[-500:]}")
        Engine(program).build(Build(file, Path(folder), tag=name), quiet=True)
    return f"no registry could be reached: Debian {release} with its own Python stands in for {name}"
