"""Where tritonserver is, whether it can be used, and how its backend finds Python, libraries and our packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serving.model_server import ServerError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".triton"  # what `make setup SERVER=triton` makes
PACKAGES, VENV, BACKENDS, STAMP = "packages", "venv", "backends", "installed"
STUB = Path("python") / "triton_python_backend_stub"
ROOT_VARIABLE = "TRITONSERVER_ROOT"  # a folder with bin/tritonserver and backends/, in place of all others
IMAGE = Path("/opt/tritonserver")  # in NVIDIA's images
VERSION_FILE = "TRITON_VERSION"  # there
WHEEL_VERSION = "2.51.0"  # of deploy/triton/requirements.txt, which has no such file
# NVIDIA's 25.07; 25.06, which is vulnerable, is 2.59.0
OLDEST_SAFE, OLDEST_SAFE_IMAGE = (2, 59, 1), "25.07"
PYTHON_NEEDED = re.compile(rb"libpython3\.(\d+)\.so")
LIBRARY_SECONDS = 20.0  # for the stub to be loaded and to end
UNLOADABLE = "error while loading shared libraries: "


@dataclass(frozen=True)
class Installation:
    """One tritonserver.

    Attributes:
        executable: the server.
        backends: folder of its backends.
        environment: variables that it needs.
        version: such as 2.59.1; empty if it is not known.
    """

    executable: Path
    backends: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    version: str = ""

    def check(self) -> None:
        """Raise ServerError unless the process that will run our code can be loaded, and has this Python."""
        stub = self.backends / STUB
        if not stub.is_file():
            raise ServerError(f"Triton's Python backend is not installed: there is no {stub}")
        if (needed := PYTHON_NEEDED.search(stub.read_bytes())) and int(needed[1]) != sys.version_info[1]:
            raise ServerError(
                f"Triton's Python backend ({stub}) is for Python 3.{int(needed[1])} and finds no packages of "
                f"3.{sys.version_info[1]}: set .venv up with python3.{int(needed[1])}"
            )
        try:
            ran = subprocess.run(
                [stub],
                env={**os.environ, **self.environment},
                capture_output=True,
                text=True,
                timeout=LIBRARY_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise ServerError(f"Triton's Python backend does not start: {exc}") from exc
        if UNLOADABLE in ran.stderr:
            missing = ran.stderr.partition(UNLOADABLE)[2].partition(":")[0]
            raise ServerError(
                f"Triton's Python backend needs {missing}, which is not found: install a Python that has its shared "
                f"library (this one is {sys.base_prefix}), and run `make setup SERVER=triton` again"
            )

    def outdated(self) -> str | None:
        """Why it is for trying only, in one line; None for a version that has the security fixes of 25.07."""
        if tuple(map(int, re.findall(r"\d+", self.version)))[:3] >= OLDEST_SAFE:
            return None
        return (
            f"Triton {self.version or 'of an unknown version'} lacks security fixes of "
            f"{'.'.join(map(str, OLDEST_SAFE))} (NVIDIA's image {OLDEST_SAFE_IMAGE}; CVE-2025-23310 and others): "
            "it is for trying only, docs/triton.md"
        )


def find(folder: Path = FOLDER) -> Installation:
    """That of TRITONSERVER_ROOT; otherwise of `make setup SERVER=triton`, of NVIDIA's image, or the one on the PATH.

    Raises:
        ServerError: there is none.
    """
    if named := os.environ.get(ROOT_VARIABLE):
        if found := at(Path(named) / "bin" / "tritonserver"):
            return found
        raise ServerError(
            f"{ROOT_VARIABLE}={named} is no tritonserver: it needs bin/tritonserver and backends/{STUB}"
        )
    if (folder / STAMP).is_file():
        return tried(folder)
    on_path = shutil.which("tritonserver")
    for executable in (IMAGE / "bin" / "tritonserver", *([Path(on_path)] if on_path else [])):
        if found := at(executable):
            return found
    raise ServerError(
        "no tritonserver: run `make setup SERVER=triton`, or use NVIDIA's image (docs/triton.md)"
    )


def at(executable: Path) -> Installation | None:
    """A server that was installed as NVIDIA's image has it; None if it is not there, or has no Python backend.

    Its stub embeds the Python that the backend was built for. That one belongs to the first python3 on the PATH, as
    Python's own rule for an embedded interpreter has it: this environment's, whose packages are then the model's. So
    EXECUTION_ENV_PATH of config.pbtxt, which runs `activate` in a shell to the same end, is not needed.
    """
    root = executable.resolve().parent.parent
    if not executable.is_file() or not (root / "backends" / STUB).is_file():
        return None
    stated = root / VERSION_FILE
    version = stated.read_text("utf-8").strip() if stated.is_file() else ""
    return Installation(executable, root / "backends", {"PATH": path(Path(sys.prefix))}, version)


def tried(folder: Path) -> Installation:
    """The server of `make setup SERVER=triton`.

    Its Python backend embeds an interpreter that ignores PYTHONPATH and belongs to the first python3 on the PATH: one
    whose packages are numpy 1.26, for which the backend was built, and then those of .venv.
    """
    libraries = [
        folder / PACKAGES / "nvidia_pytriton.libs",
        Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib"),
    ]
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    return Installation(
        folder / PACKAGES / "pytriton" / "tritonserver" / "bin" / "tritonserver",
        folder / BACKENDS,
        {
            "PATH": path(folder / VENV),
            "LD_LIBRARY_PATH": ":".join([*map(str, libraries), *filter(None, [inherited])]),
        },
        WHEEL_VERSION,
    )


def path(prefix: Path) -> str:
    return f"{prefix / 'bin'}:{os.environ.get('PATH', os.defpath)}"
