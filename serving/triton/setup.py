"""`make setup SERVER=triton`: a tritonserver for trying, into .triton/.

python -m serving.triton.setup      a second run finds its stamp and returns at once
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

from filelock import FileLock

from bundle import BundleError
from bundle.command_line import Parser, exit_status
from bundle.terminal import say
from serving.triton import installation
from serving.triton.installation import BACKENDS, FOLDER, PACKAGES, ROOT, STAMP, STUB, VENV

REQUIREMENTS = ROOT / "deploy" / "triton" / "requirements.txt"
PYTHONS = ((3, 10), (3, 12))  # numpy 1.26 has wheels for these
SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


def set_up(folder: Path) -> None:
    """Install into a folder.

    Raises:
        BundleError: says in one line why that is not possible.
    """
    check()
    folder.mkdir(exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        stamp, wanted = folder / STAMP, fingerprint()
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        began = time.monotonic()
        shutil.rmtree(folder)
        say("set-up: installing Triton for trying: an old build without security fixes, docs/triton.md")
        install(folder / PACKAGES)
        lay_out(folder)
        installation.tried(folder).check()
        stamp.write_text(wanted)
        say(f"set-up: done in {time.monotonic() - began:.0f} s")


def check() -> None:
    """Raise BundleError where the packages have no wheels."""
    oldest, newest = PYTHONS
    if not oldest <= sys.version_info[:2] <= newest:
        raise BundleError(
            f"SERVER=triton needs Python 3.{oldest[1]} to 3.{newest[1]} here, and .venv has "
            f"{platform.python_version()}: run `make setup SERVER=triton PYTHON=python3.{newest[1] - 1}`"
        )
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise BundleError(
            f"SERVER=triton runs here on Linux x86-64 only, not on {sys.platform} {platform.machine()}: "
            "use NVIDIA's image"
        )


def fingerprint() -> str:
    """One hash over everything that determines what is installed."""
    about = f"{sys.version} {sys.prefix}".encode()
    return hashlib.sha256(REQUIREMENTS.read_bytes() + about).hexdigest()


def install(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    command += [
        "--no-deps",
        "--require-hashes",
        "--no-compile",
        "--target",
        str(target),
        "-r",
        str(REQUIREMENTS),
    ]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        lines = [line for line in ran.stderr.splitlines() if line.startswith("ERROR: ")] or ["pip failed"]
        raise BundleError(f"Triton could not be installed: {lines[-1].removeprefix('ERROR: ')}")


def lay_out(folder: Path) -> None:
    """The backend with the stub of this Python beside it, and the interpreter that the stub finds."""
    server = folder / PACKAGES / "pytriton" / "tritonserver"
    backend = folder / BACKENDS / STUB.parent
    shutil.copytree(server / "backends" / "python", backend)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    shutil.copy(server / "python_backend_stubs" / version / STUB.name, backend)
    for program in (server / "bin" / "tritonserver", folder / BACKENDS / STUB):
        program.chmod(0o755)
    venv.create(folder / VENV, symlinks=True, with_pip=False)
    ours = f"{folder / PACKAGES}\n{sysconfig.get_path('purelib')}\n"
    (folder / VENV / SITE / "packages.pth").write_text(ours, "utf-8")


def main() -> int:
    Parser(prog="python -m serving.triton.setup", description="Install Triton for trying.").parse_args()
    return exit_status("set-up", lambda: set_up(FOLDER))


if __name__ == "__main__":
    sys.exit(main())
