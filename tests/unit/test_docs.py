"""The pages say what the code does: what they quote is fresh, the README is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from speaker_id import kernels
from speaker_id.settings import Settings

from bundle.spec import TorchServeSettings
from clients import identify
from measure import pages

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SETTINGS = [(section, name) for section in (TorchServeSettings, Settings) for name in section.model_fields]
AMOUNTS = [
    (section, name) for section, name in SETTINGS if name not in ("default_head", "encoder", "precision")
]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages.PAGES, ids=name_of)
def test_what_a_page_quotes_is_what_the_code_and_the_results_say(page: Path) -> None:
    assert pages.write([page], check=True), "run `make docs`"


def test_a_stale_page_is_noticed_and_mended(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = "<!-- [[[cog reference.format_names() ]]] -->", "<!-- [[[end]]] -->"
    page.write_text(f"before\n{begin}\nWAV alone.\n{end}\nafter\n")
    assert not pages.write([page], check=True)
    assert pages.write([page])
    assert pages.write([page], check=True)
    before, first, text, last, after = page.read_text("utf-8").splitlines()
    assert (before, first, last, after) == ("before", begin, end, "after")
    assert text.startswith("WAV, W64, ")


@pytest.mark.parametrize(("section", "name"), AMOUNTS, ids=[name for _, name in AMOUNTS])
def test_every_amount_says_what_too_high_and_too_low_do(section: type[BaseModel], name: str) -> None:
    description = section.model_fields[name].description or ""
    assert re.search(r"Too (high|many).*Too (low|few)|Too few.*Too many", description)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150
    text = re.sub(r"^<!-- .* -->\n|^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    paragraphs = [part for part in re.split(r"\n{2,}", text.strip()) if not part.startswith(("|", "#"))]
    assert [part for part in paragraphs if len(part.splitlines()) > 4] == []


def test_every_variable_that_the_code_reads_from_the_environment_is_listed() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8").partition("## Environment")[2]
    read = re.compile(r'environ(?:\.get\(|\.setdefault\(|\[)"([A-Z_]+)"')
    files = [
        path for room in ("handler", "bundle", "serving", "clients") for path in (ROOT / room).rglob("*.py")
    ]
    found = {name for path in files for name in read.findall(path.read_text("utf-8"))}
    # set by the adapters, for TorchServe's worker and for prometheus_client
    ours = {"TS_DECODE_INPUT_REQUEST", "PROMETHEUS_MULTIPROC_DIR"}
    assert {"JAVA_HOME", "OMP_NUM_THREADS"} <= found
    assert {
        name
        for name in found - ours | {identify.ENVIRONMENT_TOKEN, *kernels.CAPACITIES}
        if f"`{name}`" not in page
    } == set()
