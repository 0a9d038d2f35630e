"""The commands of pages that are marked with this file are run as they stand, in a copy of the repository.

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
MARKED = re.compile(r"<!-- run: tests/e2e/test_readme\.py -->\n```sh\n(.*?)```", re.DOTALL)
BLOCKS = [
    (page.name, block)
    for page in (
        ROOT / "README.md",
        *(ROOT / "docs" / name for name in ("api.md", "models.md", "configuration.md")),
    )
    for block in MARKED.findall(page.read_text("utf-8"))
]
SERVE, PUBLISHED = "make serve", "make serve MODEL=wav2vec2-base-superb-sid"
STARTING = sorted(
    {block.strip() for _, block in BLOCKS if block.splitlines()[-1].startswith(SERVE)} - {SERVE}
)
# those whose output is known have tests of their own
KNOWN = (SERVE, "make demo", "curl -T models", ":predict", "make identify")
OTHERS = [block for _, block in BLOCKS if not any(known in block for known in KNOWN)]
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
    with Serving(clone, SERVE, tmp_path_factory.mktemp("serve") / "log") as running:
        yield running


def run(clone: Path, script: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-ec", script], cwd=clone, env=environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rankings(text: str) -> list[dict[str, float]]:
    """Rankings found in a text, each as label → score."""
    return [
        {entry["label"]: entry["score"] for entry in json.loads(found)}
        for found in re.findall(r'^ *(\[\{"label".*\])', text, re.MULTILINE)
    ]


def block(page: str, containing: str) -> str:
    """The one block of a page that has this in it."""
    (found,) = [text for where, text in BLOCKS if where == page and containing in text]
    return found


@pytest.mark.parametrize("script", OTHERS, ids=lambda script: script.splitlines()[0][:60])
def test_every_other_block_runs_beside_a_server(clone: Path, serving: Serving, script: str) -> None:
    assert run(clone, script.replace("8080", str(serving.port)))


@pytest.mark.parametrize("commands", STARTING, ids=lambda script: script.splitlines()[-1])
def test_every_other_server_starts(clone: Path, tmp_path: Path, commands: str) -> None:
    *before, command = commands.splitlines()
    if before:
        run(clone, "\n".join(before))
    labels = tuple(f"id{number}" for number in range(10001, 11252))
    with hub() as stand_in:
        checkpoint = write_checkpoint(tmp_path / "checkpoint", pickled=True, labels=labels)
        stand_in.publish("superb/wav2vec2-base-superb-sid", checkpoint, "a" * 40)
        home = {"HF_ENDPOINT": stand_in.endpoint, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        with Serving(clone, command, tmp_path / "log", **home) as running:
            said = running.log.read_text()
    if command == PUBLISHED:
        assert "pinned to " + "a" * 40 in said
        (answer,) = rankings(said)
        assert set(answer) <= set(labels)


def test_what_the_demo_prints_ends_as_the_readme_says(clone: Path) -> None:
    said = run(clone, block("README.md", "make demo"))
    shown = re.search(r"^(\d+) of \1 right\. (.*) …$", README, re.MULTILINE)
    assert shown is not None
    assert f"{shown[1]} of {shown[1]} right. {shown[2]}" in said
    voices = len(list((clone / "models" / "demo" / "samples").glob("*.flac")))
    assert int(shown[1]) == voices + 1, "and a stranger"
    assert f"identifies {voices} clips of six voices" in README
    row = re.compile(r"^ +(\S+\.flac) +(\w+) +(\w+) +(0\.\d+) ", re.MULTILINE)
    printed = {name: (who, answer, float(score)) for name, who, answer, score in row.findall(said)}
    quoted = row.findall(README)
    assert quoted
    for name, who, answer, score in quoted:
        assert printed[name] == (who, answer, pytest.approx(float(score), abs=2e-3))


def test_the_curl_and_its_answer(clone: Path, serving: Serving) -> None:
    (expected,) = rankings(README)
    (answer,) = rankings(run(clone, block("README.md", "curl ").replace("8080", str(serving.port))))
    assert list(answer) == list(expected)
    assert list(answer.values()) == pytest.approx(list(expected.values()), abs=1e-3)


def test_every_form_of_a_request_is_answered_in_its_own(clone: Path, serving: Serving) -> None:
    said = run(
        clone, block("api.md", ":predict").replace("8080", str(serving.port)).replace("curl ", "curl -sS ")
    )
    raw, form, hugging_face, v1, v2 = json.JSONDecoder().decode(
        "[" + re.sub(r"(?<=[\]}])\s*(?=[\[{])", ",", said) + "]"
    )
    assert [each["label"] for each in raw[:2]] == [each["label"] for each in form]
    assert form == hugging_face
    assert (v1["predictions"], len(v2["outputs"])) == ([raw], 2)


def test_make_identify_names_every_clip(clone: Path, serving: Serving) -> None:
    said = run(clone, block("api.md", "make identify"))
    for clip in (clone / "models" / "demo" / "samples").glob("*.flac"):
        assert clip.stem[:20] in said
