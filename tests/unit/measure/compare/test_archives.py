"""The usual handler's archive holds all that its handler imports."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from measure.compare.archives import HANDLER, pack
from measure.compare.usual import Setup


def test_the_usual_handler_imports_from_its_archive_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    made = pack(Setup(tmp_path / "model", 8, 1, 2, 12345), tmp_path / "store")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(unpacked)
    assert (unpacked / "checkpoint" / "config.json").is_file()
    load = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); import {HANDLER.stem}"]
    done = subprocess.run(load, cwd=unpacked, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
