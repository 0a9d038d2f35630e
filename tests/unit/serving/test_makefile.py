"""The front door: what make says, and where it may be called from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "AUDIO"))
    }
    return subprocess.run(
        ["make", *arguments], cwd=cwd, env=clean, capture_output=True, text=True, timeout=600
    )


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The Makefile in a folder with spaces, with nothing set up."""
    folder = tmp_path / "a check out"
    (folder / "bundle").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "bundle" / "variables.py", folder / "bundle")
    return folder


def test_make_alone_lists_every_target_once_in_groups() -> None:
    makefile = (ROOT / "Makefile").read_text()
    public = re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE)
    said = make()
    assert said.returncode == 0
    assert re.findall(r"^  make (\S+) ", said.stdout, re.MULTILINE) == public
    assert re.findall(r"^\S.*", said.stdout, re.MULTILINE) == ["Use", "Operate", "Measure", "Develop"]
    assert max(map(len, said.stdout.splitlines())) < 100
    assert {"demo", "serve", "stop", "test", "check", "archive", "identify", "clean", "setup"} <= set(public)


def test_the_list_has_every_word_of_the_makefile() -> None:
    texts = re.findall(r"^[a-z0-9-]+:.*## (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [text for text in texts if text not in " ".join(make().stdout.split())] == []


def test_the_list_is_the_same_from_another_folder(elsewhere: Path, tmp_path: Path) -> None:
    assert make("-f", str(elsewhere / "Makefile"), cwd=tmp_path).stdout == make().stdout


def test_a_missing_variable_is_one_line_that_says_which() -> None:
    said = make("identify")
    assert said.returncode == 2
    assert (said.stdout, said.stderr.count("\n")) == ("", 1)
    assert 'AUDIO is missing: say which clips, as in make identify AUDIO="clip.wav folder/"' in said.stderr


def test_an_unsupported_python_is_one_clear_line(elsewhere: Path) -> None:
    (elsewhere / "bundle" / "bootstrap.py").write_text(
        "raise SystemExit('set-up: Python 3.9 is not supported')"
    )
    said = make("setup", cwd=elsewhere)
    assert (said.stdout, said.stderr.splitlines()[0]) == ("", "set-up: Python 3.9 is not supported")


def test_stop_and_clean_need_no_set_up(elsewhere: Path) -> None:
    (elsewhere / "build").mkdir()
    assert make("stop", cwd=elsewhere).stdout == "nothing is running\n"
    assert make("clean", cwd=elsewhere).returncode == 0
    assert not (elsewhere / "build").exists()


def test_continuous_integration_runs_make_test_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    commands = [line for line in script.read_text().splitlines() if line and line[0] != "#"]
    assert commands[-1] == "exec make test"
    assert os.access(script, os.X_OK)
