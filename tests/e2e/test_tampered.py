"""An archive that somebody changed is refused at load, in one line; nothing of it answers."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from speaker_handler import SpeakerHandler
from speaker_id.manifest import CheckpointError
from ts.context import Context

from serving.host import ports

pytestmark = pytest.mark.e2e

WEIGHTS, MANIFEST = "checkpoint/model.safetensors", "checkpoint/manifest.json"


def flipped(content: bytes) -> bytes:
    """One bit in the middle of a file is another."""
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]


def edited(content: bytes) -> bytes:
    """The manifest, with the weights of somebody else."""
    manifest = json.loads(content)
    manifest["files"]["model.safetensors"]["sha256"] = "0" * 64
    return json.dumps(manifest).encode()


def tampered(archive: Path, into: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy of an archive, whole as a zip file, in which one file is changed."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(into, "w") as target:
        for item in source.infolist():
            content = source.read(item)
            target.writestr(item, change(content) if item.filename == name else content)
    return into


@pytest.fixture
def unpacked(demo_store: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(demo_store / "demo.mar") as archive:
        archive.extractall(tmp_path / "model")
    return tmp_path / "model"


def load(folder: Path) -> None:
    manifest = {"model": {"modelName": "demo", "modelVersion": "1.0"}}
    SpeakerHandler().initialize(
        Context("demo", str(folder), manifest, 8, None, "0.12.0", model_yaml_config={})
    )


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_flipped_bit_of_the_weights_is_refused(unpacked: Path) -> None:
    file = unpacked / WEIGHTS
    file.write_bytes(flipped(file.read_bytes()))
    assert "model.safetensors has SHA-256" in refusal(unpacked)


def test_an_edited_manifest_is_refused(unpacked: Path) -> None:
    file = unpacked / MANIFEST
    file.write_bytes(edited(file.read_bytes()))
    assert f"manifest.json says {'0' * 12}…: corrupted or swapped" in refusal(unpacked)


def test_a_file_more_is_refused(unpacked: Path) -> None:
    (unpacked / "checkpoint" / "more.json").write_text("{}")
    assert "more.json is in the checkpoint but not in manifest.json" in refusal(unpacked)


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST, "checkpoint/preprocessor_config.json"])
def test_a_file_less_is_refused(unpacked: Path, name: str) -> None:
    (unpacked / name).unlink()
    assert f"{Path(name).name} is missing from the checkpoint" in refusal(unpacked)


def test_the_server_says_so_in_one_line_and_ends_with_1(
    demo_store: Path, run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    tampered(demo_store / "demo.mar", store / "demo.mar", WEIGHTS, flipped)
    port = str(ports.free(1)[0])
    ended = run(
        "-m", "serving.serve", "--archived", str(store), "--run", str(tmp_path / "run"), "--port", port
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("serve: the model does not load: ")
    assert "model.safetensors has SHA-256" in line
    assert "ready: " not in ended.stdout
