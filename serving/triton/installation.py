"""Where tritonserver is, and how its Python backend finds Python, its libraries and our packages."""

from __future__ import annotations

import os
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
IMAGE = Path("/opt/tritonserver")  # in NVIDIA's images
LIBRARY_SECONDS = 20.0  # for the stub to be loaded and to end
UNLOADABLE = "error while loading shared libraries: "


@dataclass(frozen=True)
class Installation:
    """One tritonserver.

    Attributes:
        executable: the server.
        backends: folder of its backends.
        environment: variables that it needs.
    """

    executable: Path
    backends: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ServerError unless the process that will run our code can be loaded."""
        stub = self.backends / STUB
        if not stub.is_file():
            raise ServerError(f"Triton's Python backend is not installed: there is no {stub}")
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


def find(folder: Path = FOLDER) -> Installation:
    """The server of `make setup SERVER=triton`, otherwise that of NVIDIA's image, otherwise the one on the PATH.

    Raises:
        ServerError: there is none.
    """
    if (folder / STAMP).is_file():
        return tried(folder)
    on_path = shutil.which("tritonserver")
    found = [Path(on_path)] if on_path else []
    for executable in (IMAGE / "bin" / "tritonserver", *found):
        backends = executable.resolve().parent.parent / "backends"
        if executable.is_file() and (backends / STUB).is_file():
            return Installation(executable, backends, {"PATH": path(Path(sys.prefix))})
    raise ServerError(
        "no tritonserver: run `make setup SERVER=triton`, or use NVIDIA's image (docs/triton.md)"
    )


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
    )


def path(prefix: Path) -> str:
    return f"{prefix / 'bin'}:{os.environ.get('PATH', os.defpath)}"
