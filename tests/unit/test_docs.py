"""The README says what the code does: every setting, error code and make target has its row, every link its target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import speaker_handler
from pydantic import BaseModel
from speaker_id import clip, errors
from speaker_id import settings as settings_module
from speaker_id.settings import Settings

from bundle.sources import TorchServeSettings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
TARGETS = re.findall(r"^([a-z][a-z0-9-]*):.*?## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
SETTINGS = [(section, name) for section in (TorchServeSettings, Settings) for name in section.model_fields]


def row(section: type[BaseModel], name: str) -> str:
    """A setting's row of the README: name, default, and what too high and too low do, as the code has it."""
    field = section.model_fields[name]
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"| `{name}` | {default} | {field.description} |"


@pytest.mark.parametrize(("section", "name"), SETTINGS, ids=[name for _, name in SETTINGS])
def test_every_setting_has_its_row(section: type[BaseModel], name: str) -> None:
    assert row(section, name) in README.splitlines()


AMOUNTS = [(section, name) for section, name in SETTINGS if name not in ("encoder", "precision")]


@pytest.mark.parametrize(("section", "name"), AMOUNTS, ids=[name for _, name in AMOUNTS])
def test_every_amount_says_what_too_high_and_too_low_do(section: type[BaseModel], name: str) -> None:
    description = section.model_fields[name].description or ""
    assert re.search(r"Too (high|many).*Too (low|few)|Too few.*Too many", description)


LIMITS = {
    name: value
    for name, value in (vars(clip) | vars(settings_module)).items()
    if re.match("(MAX|MIN|JSON)_", name)
}


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_has_its_row(name: str) -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:3]] for line in README.splitlines() if f"`{name}`" in line
    ]
    found = [dict(zip(names.split(", "), values.split(", "), strict=False)) for names, values in rows]
    assert LIMITS[name] in [float(row.get(f"`{name}`", "nan")) for row in found]


@pytest.mark.parametrize("error", speaker_handler.STATUS, ids=lambda error: error.code)
def test_every_error_code_has_its_row(error: type[errors.RequestError]) -> None:
    assert f"| {speaker_handler.STATUS[error].value} | `{error.code}` |" in README


def test_every_error_of_the_gateway_has_its_row() -> None:
    gateway = "".join(
        path.read_text("utf-8")
        for path in (ROOT / "serving" / "gateway").iterdir()
        if path.suffix in (".lua", ".yaml")
    )
    codes = set(re.findall(r"^ +code: ([a-z_]+)$", gateway, re.M)) | set(
        re.findall(r'(?:code = |(?:fail|refuse)\(handle, "?\d+"?, |return )"([a-z_]+)"', gateway)
    )
    assert len(codes) > 5
    for code in codes:
        assert f"`{code}` |" in README, code


def test_every_make_target_has_its_row() -> None:
    assert len(TARGETS) > 8
    for target in TARGETS:
        assert f"| `make {target}" in README, target


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("m*/**/*.md")), ids=str)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target
