"""make's variables: text that no shell runs, numbers that are checked, words that keep their blanks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundle import variables
from deploy.docker import engine, image
from measure.loadtest import arrivals
from serving import model_servers
from serving.host import allocator

ROOT = Path(__file__).resolve().parents[3]
TARGETS = {
    "ALL": "clean",
    "PYTHON": "setup",
    "TORCH_INDEX": "setup",
    "LOCKED": "setup",
    "VERSION": "rollout",
    "CANARY": "rollout",
    "HEAD": "guard",
    "AUDIO": "identify",
    "IN": "batch",
    "CALIBRATION": "archive",
    "URL": "evaluate",
    "CLIPS": "capacity",
    "RATE": "loadtest",
    "DURATION": "loadtest",
    "SHAPE": "loadtest",
    "SLO": "capacity",
    "OUT": "chaos",
    "DATA": "robustness",
    "SPLIT": "evaluate",
    "SPLIT_FILE": "evaluate",
    "VOICES": "enrol",
    "STRANGERS": "enrol",
    "FPIR": "enrol",
    "ARGS": "test",
}  # serve takes the others
NAMES = re.findall(
    r"\w+", re.findall(r"^VARIABLES := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.M)[0]
)
RUN = [
    "`touch {0}a`",
    "$(touch {0}b)",
    "$$(touch {0}c)",
    "$(shell touch {0}d)",
    "; touch {0}e; & touch {0}f | true",
]
QUOTED = ['"; touch {0}g; "', "'; touch {0}h; '"]

RECORDER = """#!{python}
import json, runpy, sys
if sys.argv[1].endswith("variables.py"):
    sys.executable = sys.argv.pop(0)  # so that what it becomes is this again
    runpy.run_path(sys.argv[0], run_name="__main__")
print(json.dumps(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout whose Python says what it is asked to do, and does nothing."""
    made = tmp_path / "a check out"
    (made / "bundle").mkdir(parents=True)
    (made / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", made)
    shutil.copy(ROOT / "bundle" / "variables.py", made / "bundle")
    (made / "bundle" / "bootstrap.py").write_text("import json, sys; print(json.dumps(sys.argv[1:]))")
    recorder = made / ".venv" / "bin" / "python"
    recorder.write_text(RECORDER.format(python=sys.executable))
    recorder.chmod(0o755)
    (made / "bin").mkdir()
    (made / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    return made


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in NAMES and "MAKE" not in name}
    # a version manager's python3 is a script that takes longer than all else here
    kept["PATH"] = f"{folder / 'bin'}{os.pathsep}{kept['PATH']}"
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=kept | variables, capture_output=True, text=True, timeout=600
    )


def asked(folder: Path, *arguments: str) -> list[str]:
    """The words that the command of a target was called with."""
    done = make(folder, *arguments)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize("name", NAMES)
def test_no_variable_reaches_a_shell(folder: Path, name: str, tmp_path: Path) -> None:
    target, marker = TARGETS.get(name, "serve"), tmp_path / "ran-"
    more = {"VERSION=1.0"} if target == "rollout" and name != "VERSION" else set()
    more |= {"AUDIO=x"} if target == "identify" and name != "AUDIO" else set()
    more |= {"OUT=x"} if target == "batch" else set()
    for payload in (" ".join(RUN).format(marker), "".join(QUOTED).format(marker)):
        by_argument = make(folder, target, f"{name}={payload}", *more)
        by_environment = make(folder, target, *more, **{name: payload})
        assert list(tmp_path.glob("ran-*")) == []
        if name in variables.CHECKED:  # refused before the set-up if typed, and after it if inherited
            assert by_argument.stderr.splitlines()[0] == by_environment.stderr.splitlines()[0]
        else:
            assert by_argument.stdout == by_environment.stdout
        if name not in (*variables.CHECKED, "PYTHON", "LOCKED", "ARGS", "AUDIO"):
            assert payload in by_argument.stdout.replace('\\"', '"')  # it arrives as it is


def test_the_test_above_tries_every_variable_of_some_target() -> None:
    assert set(TARGETS) < set(NAMES)
    recipes = re.findall(
        r"^\t.*|^LOAD :=.*|^EVALUATE :=.*|^SETUP :=.*\n.*", (ROOT / "Makefile").read_text(), re.M
    )
    for name in NAMES:
        assert any(re.search(rf"\b{name}\b", recipe) for recipe in recipes), name


def test_recipes_hold_no_value() -> None:
    for line in (ROOT / "Makefile").read_text().splitlines():
        if line.startswith("\t"):
            assert not re.search(rf"\$\(({'|'.join(NAMES)})\)", line), line


def test_an_unknown_variable_is_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    done = make(folder, "serve", f"PROT=$(shell touch {tmp_path}/ran)")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no variable PROT is known: write NAME=value with one of PYTHON " in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("PORT=80000", "PORT=80000 is not allowed: a whole number from 1 to 65535"),
        ("PORT=0", "PORT=0 is not allowed: a whole number from 1 to 65535"),
        ("PORT=٣", "PORT=٣ is not allowed: a whole number from 1 to 65535"),
        (
            "METRICS_PORT=-1",
            "METRICS_PORT=-1 is not allowed: a whole number from 0 to 65535; 0 is a free one",
        ),
        (
            "CANARY=100",
            "CANARY=100 is not allowed: a whole number from 0 to 99, percent of the requests; 0 switches",
        ),
        ("VERSION=two", "VERSION=two is not allowed: numbers with dots between, such as 2.0"),
        ("RATE=nan", "RATE=nan is not allowed: requests a second, more than 0, such as 5 or 0.5"),
        ("RATE=0", "RATE=0 is not allowed: requests a second, more than 0, such as 5 or 0.5"),
        ("DURATION=1h", "DURATION=1h is not allowed: 30, 30s or 2m"),
        ("SERVER=tfserving", "SERVER=tfserving is not allowed: torchserve or triton"),
        ("VARIANT=gpu", "VARIANT=gpu is not allowed: cpu or cuda"),
        ("ENGINE=nerdctl", "ENGINE=nerdctl is not allowed: docker, podman or buildah"),
        ("ALLOCATOR=tcmalloc", "ALLOCATOR=tcmalloc is not allowed: glibc or jemalloc"),
        ("PAGE=no", "PAGE=no is not allowed: on or off"),
        ("SHAPE=saw", "SHAPE=saw is not allowed: poisson, constant, step or spike"),
        (
            "FPIR=60%",
            "FPIR=60% is not allowed: a share of strangers from 0.1% to 50%, such as 1% or 0.01: percent need the sign",
        ),
        ("SPLIT=4", "SPLIT=4 is not allowed: a whole number from 1 to 3: VoxCeleb1's train, dev and test"),
    ],
)
def test_a_value_that_is_not_allowed_is_one_line_before_anything_is_set_up(
    folder: Path, given: str, said: str
) -> None:
    done = make(folder, "serve", given)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (2, "", said)
    assert done.stderr.splitlines()[1].startswith("make: ")
    assert len(done.stderr.splitlines()) == 2


def test_only_what_is_typed_or_used_is_checked(folder: Path) -> None:
    """VERSION is in /etc/os-release, which scripts read into their environment."""
    assert make(folder, "serve", VERSION="12 (bookworm)").returncode == 0
    assert make(folder, "serve", PORT="80000").stderr.startswith("PORT=80000 is not allowed: ")


def test_every_checked_variable_has_an_example_above() -> None:
    assert set(variables.CHECKED) == {
        "PORT",
        "METRICS_PORT",
        "CANARY",
        "VERSION",
        "PAGE",
        "RATE",
        "DURATION",
        "SPLIT",
        "FPIR",
        "SERVER",
        "VARIANT",
        "ENGINE",
        "ALLOCATOR",
        "SHAPE",
    }


def test_the_words_that_are_allowed_are_those_that_the_commands_take() -> None:
    for name, taken in {
        "SERVER": model_servers.NAMES,
        "VARIANT": image.VARIANTS,
        "ENGINE": engine.NAMES,
        "ALLOCATOR": allocator.NAMES,
        "SHAPE": arrivals.SHAPES,
    }.items():
        allowed, words = variables.CHECKED[name]
        assert all(map(allowed, taken))
        assert re.split(r", | or ", words) == list(taken)


@pytest.mark.parametrize(
    "given", ["PORT=65535", "METRICS_PORT=0", "RATE=0.5", "DURATION=2m", "DURATION=30", "SPLIT=1"]
)
def test_a_number_in_range_passes(folder: Path, given: str) -> None:
    assert make(folder, "serve", given).returncode == 0


def test_what_is_not_given_is_the_commands_own_default(folder: Path) -> None:
    assert asked(folder, "serve") == ["-m", "serving.serve"]
    assert asked(folder, "serve", "PORT=", "MODEL=demo") == ["-m", "serving.serve", "--model=demo"]


def test_stop_takes_a_port(folder: Path) -> None:
    assert asked(folder, "stop", "PORT=8090") == ["-m", "serving.stop", "--port=8090"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("-k 'this or that' -x", ["-k", "this or that", "-x"]),
        ('-k "a b"', ["-k", "a b"]),
        ("--dist=$HOME *", ["--dist=$HOME", "*"]),
    ],
)
def test_args_are_words_and_quotes_keep_blanks(folder: Path, args: str, words: list[str]) -> None:
    assert asked(folder, "test", f"ARGS={args}")[-len(words) :] == words


def test_args_with_an_open_quote_is_one_line(folder: Path) -> None:
    done = make(folder, "test", 'ARGS=-k "a')
    assert done.stderr.splitlines()[0] == (
        'ARGS=-k "a is not allowed: No closing quotation (put quotes around a word with blanks)'
    )


class TestAudio:
    def identify(self, folder: Path, caller: Path, audio: str) -> list[str]:
        words = asked(caller, "-f", str(folder / "Makefile"), "identify", f"AUDIO={audio}", "ARGS=--top-k 3")
        assert words[:3] == ["-m", "serving.identify", f"--run={folder}/build/run"]
        assert words[3:7] == ["--", "--top-k", "3", "--"]
        return words[7:]

    @pytest.fixture
    def caller(self, tmp_path: Path) -> Path:
        made = tmp_path / "elsewhere"
        (made / "a folder with spaces").mkdir(parents=True)
        for name in ("a.wav", "b.wav"):
            (made / name).touch()
        return made

    def test_a_folder_with_blanks_is_one(self, folder: Path, caller: Path) -> None:
        assert self.identify(folder, caller, "a folder with spaces/") == ["a folder with spaces/"]

    def test_several_are_words_that_quotes_keep_together(self, folder: Path, caller: Path) -> None:
        assert self.identify(folder, caller, "a.wav 'a folder with spaces'") == [
            "a.wav",
            "a folder with spaces",
        ]

    def test_a_pattern_is_every_file_that_matches(self, folder: Path, caller: Path) -> None:
        assert self.identify(folder, caller, "*.wav none*") == ["a.wav", "b.wav", "none*"]

    def test_none_is_an_option(self, folder: Path, caller: Path) -> None:
        assert self.identify(folder, caller, "--url=http://elsewhere -") == ["--url=http://elsewhere", "-"]
