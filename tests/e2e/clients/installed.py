"""Where the clients are: each in an environment of its own under build/clients, made on first use.

A client that cannot be installed here skips its test, with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from measure import Unavailable, environment

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[2] / "build" / "clients"
LIBB64 = "libb64-0d"  # Debian's package of a library that perf_analyzer is linked with


def python(name: str = "python", requirements: str = "requirements.txt") -> Path:
    """The interpreter that has what the file of requirements pins, and nothing else."""
    return _or_skip(_python(name, requirements))


def node(script: str) -> list[str]:
    """The command that runs a script of this folder beside node's packages."""
    return ["node", str(_or_skip(_node()) / script)]


def perf_analyzer() -> tuple[Path, dict[str, str]]:
    """The program, and the environment variables that it needs."""
    folder = python("perf-analyzer", "requirements-perf-analyzer.txt").parents[1]
    program = folder / "bin" / "perf_analyzer"
    libraries = [*folder.glob("lib/python*/site-packages/nvidia/*/lib"), *_libb64(folder)]
    variables = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))}
    ran = subprocess.run([str(program), "--version"], capture_output=True, text=True, env=variables)
    if ran.returncode != 0:
        pytest.skip(f"perf_analyzer does not start: {_first_line(ran.stderr)}")
    return program, variables


def _libb64(folder: Path) -> list[Path]:
    """The folder of the library, from Debian's package where this machine has it not; nothing is installed."""

    def found() -> list[Path]:
        return [file.parent for file in folder.glob("usr/lib/*/libb64.so.0d")]

    if not found() and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        subprocess.run(["apt-get", "-q", "download", LIBB64], cwd=folder, capture_output=True)
        for package in folder.glob(f"{LIBB64}_*.deb"):
            subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=folder, capture_output=True)
    return found()


@cache
def _python(name: str, requirements: str) -> Path | str:
    """The interpreter, or why there is none: that is found out once, as it takes time where a network is not there."""
    options = ("--no-deps", "--no-compile", "--retries", "1")
    try:
        return environment.python(BUILD / name, HERE / requirements, options=options)
    except Unavailable as exc:
        return str(exc)


@cache
def _node() -> Path | str:
    """The folder of node's packages, and of the scripts, as node looks beside them; or why there is none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "no node, or no npm"
    folder = BUILD / "node"
    pinned = {name: (HERE / name).read_text("utf-8") for name in ("package.json", "package-lock.json")}
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):  # another of the suite's processes may be installing them
        stamp = folder / "installed"
        if not stamp.is_file() or stamp.read_text("utf-8") != pinned["package-lock.json"]:
            for name, text in pinned.items():
                (folder / name).write_text(text, "utf-8")
            command = [
                "npm",
                "ci",
                "--no-fund",
                "--no-audit",
                "--ignore-scripts",
                "--fetch-retries=1",
                "--fetch-retry-mintimeout=1000",
            ]
            ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if ran.returncode != 0:
                return f"npm cannot install them: {_first_line(ran.stderr)}"
            stamp.write_text(pinned["package-lock.json"], "utf-8")
        for each in HERE.glob("*.mjs"):
            shutil.copy(each, folder)
    return folder


def _or_skip(found: Path | str) -> Path:
    if isinstance(found, str):
        pytest.skip(found)
    return found


def _first_line(text: str) -> str:
    return (text.strip() or "no reason given").splitlines()[0]
