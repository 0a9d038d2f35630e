"""From the archive's files to an answer, nothing is unpickled: a tampered archive has no pickle to run code from."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from bundle import archive
from tests.doubles.demo import demo_speaker

ROOT = Path(__file__).resolve().parents[2]
CLIP = sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))[0]

# in a process of its own, as an audit hook cannot be taken away again
SERVE = """
import pickle, sys

found = []
sys.addaudithook(lambda event, arguments: found.append(arguments) if event == "pickle.find_class" else None)
sys.path.insert(0, {handler!r})
from ts.context import Context
from speaker_handler import SpeakerHandler
from speaker_id.protocol import Payload

manifest = {{"model": {{"modelName": "demo", "modelVersion": "1.0"}}}}
handler = SpeakerHandler()
handler.initialize(Context("demo", {folder!r}, manifest, 8, None, "0.12.0", model_yaml_config={{}}))
(outcome,) = handler.pipeline.identify([Payload({{"body": open({clip!r}, "rb").read()}})])
assert outcome.error is None
{more}
print(len(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    made = archive.prepare(demo_speaker(), folder / "build")
    (folder / "checkpoint").symlink_to(made)
    return folder


def unpickled(folder: Path, more: str = "") -> int:
    code = SERVE.format(handler=str(ROOT / "handler"), folder=str(folder), clip=str(CLIP), more=more)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def test_loading_and_answering_unpickle_nothing(folder: Path) -> None:
    assert unpickled(folder) == 0


def test_the_watch_would_see_a_pickle(folder: Path) -> None:
    assert unpickled(folder, f"pickle.loads({pickle.dumps(Path('x'))!r})") == 1


def test_the_checkpoint_that_ships_holds_no_pickle(folder: Path) -> None:
    suffixes = {path.suffix for path in (folder / "checkpoint").iterdir()}
    assert suffixes <= {".json", ".safetensors", ".csv"}
    weights = json.loads((folder / "checkpoint" / "manifest.json").read_text())["files"]
    assert "model.safetensors" in weights
