"""No file names a path or a module that is not there: what moves takes its mentions along."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = "handler|bundle|serving|measure|clients|deploy|training|tests|models|docs"
# behind none of these a folder begins: it is inside another path, or a URL
PATH = re.compile(rf"(?<![\w./$}}{{-])((?:{ROOMS})/[\w./-]*\w)")
# as in `python -m serving.serve`, and between back quotes
MODULE = re.compile(rf"(?:-m |`)((?:speaker_id|{ROOMS})(?:\.[a-z_]\w*)+)")
FILE_NAME = re.compile(r".*\.(?:md|json|py|yaml|csv|lua|png)")
PLACEHOLDER = re.compile(r"[A-Z]{3,}")  # as in models/NAME/model.yaml
INVENTED = {"measure.some.report"}  # by a test
SEEN = {".py", ".md", ".yaml", ".lua", ".toml", ".properties", ".xml", ".txt", ".j2", ""}


@cache
def texts() -> dict[str, str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    files = [name for name in names if Path(name).suffix in SEEN and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text("utf-8") for name in files}


def exists(module: str) -> bool:
    """Whether a dotted name is a module, or something that a module's text has."""
    top, *parts = module.split(".")
    place = ROOT / "handler" / top if top == "speaker_id" else ROOT / top
    for part in parts:
        file = place.with_suffix(".py") if not place.is_dir() else place / "__init__.py"
        if (place / part).is_dir() or (place / f"{part}.py").is_file():
            place = place / part
        else:
            return file.is_file() and re.search(rf"\b{part}\b", file.read_text("utf-8")) is not None
    return True


def test_the_files_are_read() -> None:
    assert len(texts()) > 300


def named(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """Each file, and what it names."""
    return [
        (name, found)
        for name, text in texts().items()
        for found in pattern.findall(text)
        if not PLACEHOLDER.search(found) and found not in INVENTED
    ]


def test_every_path_that_a_file_names_is_there() -> None:
    assert [each for each in named(PATH) if not any(ROOT.glob(f"{each[1]}*"))] == []


def test_every_module_that_a_file_names_is_there() -> None:
    assert [each for each in named(MODULE) if not FILE_NAME.fullmatch(each[1]) and not exists(each[1])] == []
