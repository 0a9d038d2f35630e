"""What is wrong in ARGS= is one line, of every command that takes it; pytest words it in its own way."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bundle import variables

ROOT = Path(__file__).resolve().parents[3]


def command(*arguments: str, **given: str) -> tuple[int, str]:
    """Exit code and errors of what make would run."""
    done = subprocess.run(
        [sys.executable, "bundle/variables.py", "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "handler", "VARIABLES": " ".join(given), **given},
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            "--foo 1",
            "ARGS=--foo 1 is not allowed: unrecognized arguments: --foo 1 (ARGS=--help lists what is allowed)",
        ),
        (
            "--grace soon",
            "ARGS=--grace soon is not allowed: argument --grace: invalid float value: 'soon' "
            "(ARGS=--help lists what is allowed)",
        ),
    ],
)
def test_it_is_said_as_of_any_variable(args: str, said: str) -> None:
    assert command("serving.serve", "ARGS", ARGS=args) == (2, said + "\n")


def test_so_it_is_by_a_command_that_has_commands_of_its_own() -> None:
    done = command("measure.loadtest", "run", "ARGS", ARGS="--foo")
    assert done == (
        2,
        "ARGS=--foo is not allowed: unrecognized arguments: --foo (ARGS=--help lists what is allowed)\n",
    )


def test_so_it_is_by_the_client(tmp_path: Path) -> None:
    rest = ("URL", "--", "ARGS", "AUDIO")
    given = {"URL": "http://127.0.0.1:9", "AUDIO": str(tmp_path)}
    code, said = command("serving.identify", *rest, ARGS="--format xml", **given)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(
        "ARGS=--format xml is not allowed: argument --format: invalid choice: 'xml' (choose "
    )
    assert command("serving.identify", *rest, ARGS="--top-k 3", **given) == (
        2,
        "identify.py: no audio files (--help lists what is allowed)\n",
    )


def test_so_it_is_by_the_client_of_archives(tmp_path: Path) -> None:
    given = {"URL": "http://127.0.0.1:9", "IN": str(tmp_path), "OUT": str(tmp_path / "out")}
    code, said = command("serving.batch", "URL", "--", "IN", "OUT", "ARGS", ARGS="--patience soon", **given)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("ARGS=--patience soon is not allowed: argument --patience: invalid float value")


@pytest.mark.parametrize(
    ("module", "given", "inherits"),
    [("pytest", "-x", None), ("serving.serve", "-x", "-x"), ("serving.serve", "", None)],
)
def test_a_commands_own_are_inherited_and_neither_pytests_nor_an_outer_makes(
    monkeypatch: pytest.MonkeyPatch, module: str, given: str, inherits: str | None
) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(os, "environ", {"VARIABLES": "ARGS", "ARGS": given, variables.ARGS_GIVEN: "--outer"})
    monkeypatch.setattr(os, "execv", lambda *_: seen.append(os.environ.get(variables.ARGS_GIVEN)))
    monkeypatch.setattr(sys, "argv", ["variables.py", "-m", module, "ARGS"])
    assert variables.main() == 0
    assert seen == [inherits]


def test_every_command_that_takes_it_has_such_a_parser() -> None:
    recipes = re.findall(r"^\t.*-m ([\w.]+).*\bARGS$", (ROOT / "Makefile").read_text(), re.M)
    names = {name for name in recipes if name != "pytest"} | {"measure.evaluation", "serving.identify"}
    assert {"serving.serve", "measure.loadtest", "measure.chaos", "tests.fuzz.audio"} < names
    for name in names:
        place = ROOT / name.replace(".", "/")
        files = (
            [place / "__main__.py", place / "options.py"] if place.is_dir() else [place.with_suffix(".py")]
        )
        sources = [file.read_text() for file in files if file.exists()]
        assert any(
            re.search(
                r"import Parser|serving\.arguments import .*\bparser?\b|serving\.asked import ask\b", each
            )
            for each in sources
        ), name


@pytest.mark.parametrize("option", ["--archived=.", "--weights=."])
def test_a_gallery_joins_no_archive_that_is_served_as_it_is(option: str) -> None:
    code, said = command("serving.serve", option, "GALLERY", GALLERY="voices")
    assert (code, said) == (
        1,
        "serve: GALLERY=voices joins an archive that is built, and these are served as they are\n",
    )
