"""An archive alone says what it is to be served as."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from bundle import BundleError, archive, archived
from tests.doubles.demo import demo_speaker

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with demo.mar, of version 2.0 and with settings that are not the defaults."""
    spec = demo_speaker()
    changed = spec.model_copy(
        update={
            "version": "2.0",
            "torchserve": spec.torchserve.model_copy(update={"responseTimeout": 77, "startupTimeout": 88}),
            "speaker_id": spec.speaker_id.model_copy(update={"heads": {"first": 2, "second": 4}}),
        }
    )
    store = tmp_path_factory.mktemp("store")
    archive.build(changed, store, checkpoints=tmp_path_factory.mktemp("checkpoints"))
    return store


def test_name_version_settings_and_provenance_are_read_back(store: Path) -> None:
    (spec,) = archived.read_store(store)
    assert (spec.name, spec.version, spec.demo) == ("demo", "2.0", True)
    assert (spec.torchserve.responseTimeout, spec.torchserve.startupTimeout) == (77, 88)
    assert spec.speaker_id.heads == {"first": 2, "second": 4}


def test_a_folder_that_is_not_there_or_is_empty_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing cannot be read: No such file"):
        archived.read_store(tmp_path / "nothing")
    with pytest.raises(BundleError, match=r"no archive NAME\.mar .*make archive MODEL=NAME"):
        archived.read_store(tmp_path)


def test_an_archive_under_another_name_than_its_own_is_refused(store: Path, tmp_path: Path) -> None:
    shutil.copy(store / "demo.mar", tmp_path / "other.mar")
    with pytest.raises(BundleError, match=r"holds the model demo: rename it to demo\.mar"):
        archived.read_store(tmp_path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.mar").write_bytes(b"PK but no more")
    with pytest.raises(BundleError, match=r"broken\.mar is not a readable archive"):
        archived.read_store(tmp_path)


def test_an_archive_of_others_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "foreign.mar", "w") as mar:
        mar.writestr("MAR-INF/MANIFEST.json", '{"model": {"modelName": "foreign", "modelVersion": "1.0"}}')
    with pytest.raises(BundleError, match=r"foreign\.mar was not built by `make archive`"):
        archived.read_store(tmp_path)


def test_a_setting_that_this_version_does_not_know_is_named(store: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(store / "demo.mar") as old, zipfile.ZipFile(tmp_path / "demo.mar", "w") as new:
        for entry in old.infolist():
            extra = b"\nfrobnicate: 1\n" if entry.filename == "model-config.yaml" else b""
            new.writestr(entry, old.read(entry) + extra)
    with pytest.raises(BundleError, match=r"frobnicate.*build it again, with this version"):
        archived.read_store(tmp_path)
