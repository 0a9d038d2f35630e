"""An archive whose bytes depend on its content alone: built twice, it is one layer of an image."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from bundle.store import MANIFEST

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip file can hold
READABLE = 0o100644 << 16


def same_bytes(mar: Path) -> None:
    """Rewrite an archive with its entries sorted and without the times at which they were made."""
    new = mar.with_suffix(".new")
    with zipfile.ZipFile(mar) as old, zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(name for name in old.namelist() if not name.endswith("/")):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr = READABLE
            entry.file_size = old.getinfo(name).file_size
            with archive.open(entry, "w") as target:
                if name == MANIFEST:
                    target.write(undated(old.read(name)))
                else:
                    with old.open(name) as source:
                        shutil.copyfileobj(source, target, 1 << 20)
    new.replace(mar)


def undated(manifest: bytes) -> bytes:
    """torch-model-archiver's manifest without the time of packing, which nothing reads."""
    content = json.loads(manifest)
    content.pop("createdOn", None)
    return json.dumps(content, indent=2, sort_keys=True).encode()
