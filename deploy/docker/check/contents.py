"""What an image must not hold, and whether its compiled files are those of its sources: runs inside the image.

    docker run --rm -i --entrypoint python IMAGE - < deploy/docker/check/contents.py

Prints JSON: {"unwanted": [...], "stale": [...], "compiled": n}. Standard library only.
"""

import importlib.util
import json
from pathlib import Path

APP, COMPILED = Path("/app"), Path("/app/compiled")
PACKAGES = ".venv/lib/python3*/site-packages/"
OF_PACKAGES = (
    "torch/test",
    "torch/include",
    "torch/bin/test*",
    "torch/bin/*Test",
    "torch/bin/protoc*",
    "pip",
)
UNWANTED = (
    *(PACKAGES + name for name in OF_PACKAGES),
    ".venv/bin/pip*",
    "**/tests",
    "**/doubles",
    "**/__pycache__",
)


def stale(pyc: Path) -> bool:
    """Whether a compiled file has another source than the one that is there, or none."""
    place = "/" / pyc.parent.relative_to(COMPILED)
    source = place / f"{pyc.name.partition('.')[0]}.py"
    if not source.is_file():
        return True
    return pyc.read_bytes()[8:16] != importlib.util.source_hash(source.read_bytes())


def found() -> dict[str, object]:
    compiled = sorted(COMPILED.rglob("*.pyc"))
    return {
        "unwanted": sorted({str(path) for pattern in UNWANTED for path in APP.glob(pattern)}),
        "stale": [str(path) for path in compiled if stale(path)],
        "compiled": len(compiled),
    }


if __name__ == "__main__":
    print(json.dumps(found()))
