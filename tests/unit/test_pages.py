"""README and docs/: commands are run or say what they need, links and the files that a page names are there."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = [ROOT / "SECURITY.md", *sorted(ROOT.glob("m*/**/*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):.*?## ", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"[A-Z_]+", MAKEFILE.partition("VARIABLES := ")[2].partition("\n\n")[0]))
# a block of commands, and what stands before it: a test that runs it, `dry run` (make takes it), or what it needs
BLOCK = re.compile(
    r"(?:^<!-- (run|dry run|needs)(?:: (.+?))? -->\n)?^```(?:sh|bash)\n(.*?)^```", re.DOTALL | re.M
)
FOLDERS = "handler|bundle|serving|measure|clients|deploy|training|tests|models|docs"
WITH_PATH = "PYTHONPATH=handler"
PLACEHOLDER = re.compile(r"[A-Z]{3,}|…|\*")  # as in models/NAME/model.yaml


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(block: str) -> list[list[str]]:
    lines = block.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@cache
def files() -> frozenset[str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return frozenset(Path(name).name for name in names if (ROOT / name).exists())


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings' anchors, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.M)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_of_commands_is_run_or_says_what_it_needs(page: Path) -> None:
    for kind, what, block in BLOCK.findall(page.read_text("utf-8")):
        assert kind, f"no comment says who runs this, or what it needs:\n{block}"
        if kind == "run":
            test = (ROOT / what).read_text("utf-8")
            assert f'"{page.name}"' in test, f"{what} does not read {page.name}"
        if kind == "needs":
            assert what, f"needs what?\n{block}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_takes_every_command_as_it_stands(page: Path) -> None:
    for _, _, block in BLOCK.findall(page.read_text("utf-8")):
        for words in commands(block):
            if words[0] == "make":
                done = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True)
                assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_and_variable_in_a_sentence_is_make_s(page: Path) -> None:
    for command in re.findall(r"`make ([a-z][^`]*)`", page.read_text("utf-8")):
        target, *rest = command.split()
        assert target in TARGETS, command
        assert set(re.findall(r"(?:^| )([A-Z_]+)=", " ".join(rest))) <= VARIABLES, command


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text("utf-8")):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_it_names_is_there(page: Path) -> None:
    spans = re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))
    named = [span.partition("::")[0] for span in spans if re.match(rf"(?:{FOLDERS})/[\w./-]+(?:::|$)", span)]
    assert [name for name in named if not PLACEHOLDER.search(name) and not (ROOT / name).exists()] == []
    short = [span for span in spans if re.fullmatch(r"\w+\.(?:py|lua)", span)]
    assert [name for name in short if name not in files() and not PLACEHOLDER.search(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_it_says_is_in_a_file_is_in_it(page: Path) -> None:
    for what, file in re.findall(r"`([\w.]+)`,? (?:in|of) `([\w/]+\.py)`", page.read_text("utf-8")):
        name = what.rpartition(".")[2]
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text("utf-8")), f"{what} in {file}"


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name_of)
def test_a_module_of_ours_is_run_with_the_path_that_it_needs(page: Path) -> None:
    text = re.sub(r"<!-- written by .*?<!-- to here -->", "", page.read_text("utf-8"), flags=re.DOTALL)
    words = re.sub(r"\s+", " ", text)
    ran = re.findall(rf"(\S* ?\S*python3?) -m ((?:{FOLDERS})[.\w]*)", words)
    ran = [each for each in ran if not each[1].startswith("clients.")]  # which import nothing of the handler
    bare = [module for before, module in ran if not before.startswith(WITH_PATH)]
    assert not bare or WITH_PATH in words, f"{bare} need {WITH_PATH}, and the page does not say so"


def test_the_architecture_page_names_every_folder_and_every_stage() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    listed = ["git", "ls-files", "*/*"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    folders = {f"{name.partition('/')[0]}/" for name in names} - {".ci/"}
    core = [Path(name).parts for name in names if name.startswith("handler/speaker_id/")]
    stages = {parts[2] if len(parts) == 3 else f"{parts[2]}/" for parts in core} - {"__init__.py"}
    assert [name for name in sorted(folders | stages) if f"`{name}`" not in page] == []
