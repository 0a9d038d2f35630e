"""Verification: every file of a checkpoint is held to the manifest."""

import json
from pathlib import Path

import pytest
from speaker_id.manifest import FileRecord, verify

from tests.doubles.checkpoints import write_checkpoint
from tests.unit.handler.sealed import LABELS, refusal, sealed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sealed(write_checkpoint(tmp_path / "checkpoint", labels=LABELS))


def test_a_file_record_is_the_sha256_and_the_size(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert FileRecord.of(tmp_path / "abc") == FileRecord(sha256=expected, bytes=3)


def test_an_untouched_folder_is_verified(folder: Path) -> None:
    assert set(verify(folder).files) == {"config.json", "model.safetensors", "preprocessor_config.json"}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_one_changed_bit_is_refused_with_both_hashes(folder: Path, name: str) -> None:
    before = FileRecord.of(folder / name).sha256
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    after = FileRecord.of(folder / name).sha256
    message = refusal(folder)
    assert (
        message
        == f"{name} has SHA-256 {after[:12]}…, manifest.json says {before[:12]}…: corrupted or swapped"
    )


def test_a_file_cut_short_is_refused_with_both_sizes(folder: Path) -> None:
    size = (folder / "model.safetensors").stat().st_size
    (folder / "model.safetensors").write_bytes(b"short")
    assert f"model.safetensors has 5 bytes, manifest.json says {size}" in refusal(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "model.safetensors is missing" in refusal(folder)


def test_an_unlisted_file_is_refused(folder: Path) -> None:
    (folder / "model-00002.safetensors").write_bytes(b"x")
    assert "model-00002.safetensors is in the checkpoint but not in manifest.json" in refusal(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.PT", "extra.pkl"])
def test_a_pickle_is_refused_even_when_listed(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    sealed(folder)
    assert f"{name} may be a pickle" in refusal(folder)


def test_a_manifest_that_lists_no_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    sealed(folder)
    assert "manifest.json does not list model.safetensors" in refusal(folder)


def test_a_file_outside_the_folder_is_not_taken_for_one_inside(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder.parent / "outside").write_bytes(b"")
    manifest["files"]["../outside"] = FileRecord.of(folder.parent / "outside").model_dump()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "../outside is missing" in refusal(folder)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"name": "x"}', '{"name": 1, "source": "x", "files": {}}']
)
def test_a_damaged_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    assert "manifest.json is damaged" in refusal(folder)


def test_a_folder_without_a_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    assert "manifest.json is missing" in refusal(folder)
