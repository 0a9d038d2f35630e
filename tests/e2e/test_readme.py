"""Every command of the README is run as it stands, in a copy of the repository; its answer is the README's.

Two things differ from a reader's terminal: the port is a free one, and the hub is a stand-in on loopback.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.host import ports
from serving.host.leash import Leashed
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.hub import hub

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()
]
LEFT_OUT = (".git", ".venv", "build", "reports", "*.mar", "__pycache__", ".*_cache", ".hypothesis")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as a reader has it, beside its installed packages."""
    folder = tmp_path_factory.mktemp("readers") / "clone"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def environment(**more: str) -> dict[str, str]:
    """A new terminal's: without what the make that runs these tests hands down."""
    handed_down = ("MAKE", "MFLAGS", "HF_", "ARGS", "AUDIO", "MODEL", "PORT", "PYTHONPATH", "REVISION")
    return {name: value for name, value in os.environ.items() if not name.startswith(handed_down)} | more


class Serving:
    """`make serve` in the background, until the block ends."""

    def __init__(self, clone: Path, command: str, log: Path, **more: str) -> None:
        self.port = ports.free(1)[0]
        self.log = log
        with log.open("wb") as output:
            self.process = Leashed(
                ["/bin/sh", "-c", f"exec {command} PORT={self.port}"],
                cwd=clone,
                env=environment(**more),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Serving:
        deadline = time.monotonic() + 600
        while "ready: " not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGINT)  # as Ctrl-C in the terminal does
        self.process.wait(600)
        self.process.release()


@pytest.fixture(scope="module")
def serving(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(clone, "make serve", tmp_path_factory.mktemp("serve") / "log") as running:
        yield running


def run(clone: Path, command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, shell=True, cwd=clone, env=environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def answers(text: str) -> list[dict[str, float]]:
    """Rankings found in a text, each as label → score."""
    return [
        {entry["label"]: entry["score"] for entry in json.loads(found)}
        for found in re.findall(r'^ *(\[\{"label".*\])', text, re.MULTILINE)
    ]


def test_every_command_is_run_by_a_test_below() -> None:
    assert set(COMMANDS) == {DEMO, SERVE, CURL, SERVE_PUBLISHED, IDENTIFY, HELP, TEST, CHECK}


DEMO = "make demo"
SERVE = "make serve"
CURL = next(line for line in COMMANDS if line.startswith("curl "))
SERVE_PUBLISHED = "make serve MODEL=wav2vec2-base-superb-sid"
IDENTIFY = 'make identify AUDIO="models/demo/samples"'
HELP, TEST, CHECK = "make help", "make test", "make check"


def test_make_demo(clone: Path) -> None:
    said = run(clone, DEMO).stdout
    number = re.search(r"identifies (\d+) recorded voices", README)
    assert number
    assert len(list((clone / "models" / "demo" / "samples").glob("*.flac"))) == int(number[1])
    assert "demo" in said.lower()


def test_the_curl_and_its_answer(clone: Path, serving: Serving) -> None:
    (expected,) = answers(README)
    (answer,) = answers(run(clone, CURL.replace("8080", str(serving.port))).stdout)
    assert list(answer) == list(expected)
    assert list(answer.values()) == pytest.approx(list(expected.values()), abs=1e-3)


def test_make_identify(clone: Path, serving: Serving) -> None:
    said = run(clone, IDENTIFY).stdout
    for clip in (clone / "models" / "demo" / "samples").glob("*.flac"):
        assert clip.stem[:20] in said


def test_make_serve_with_the_published_model_from_a_stand_in_of_the_hub(clone: Path, tmp_path: Path) -> None:
    labels = tuple(f"id{number}" for number in range(10001, 11252))
    checkpoint = write_checkpoint(tmp_path / "checkpoint", pickled=True, labels=labels)
    with hub() as stand_in:
        stand_in.publish("superb/wav2vec2-base-superb-sid", checkpoint, "a" * 40)
        home = {"HF_ENDPOINT": stand_in.endpoint, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        with Serving(clone, SERVE_PUBLISHED, tmp_path / "log", **home) as running:
            said = running.log.read_text()
    assert "pinned to " + "a" * 40 in said
    (answer,) = answers(said)
    assert set(answer) <= set(labels)


def test_make_help_lists_the_targets(clone: Path) -> None:
    said = run(clone, HELP).stdout
    assert run(clone, "make").stdout == said
    assert "make demo" in said


@pytest.mark.parametrize("command", [TEST, CHECK])
def test_what_this_suite_cannot_run_within_itself_is_there(clone: Path, command: str) -> None:
    assert "-m" in run(clone, f"{command} --dry-run").stdout
