"""An init container's command: what is pinned arrives, whatever else is refused and leaves nothing to be served."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from speaker_id.manifest import FileRecord

from bundle import BundleError, archive, archived, deliver, sources
from bundle.lock import Lock
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.hub import Hub, hub

ROOT = Path(__file__).resolve().parents[3]
REPO, COMMIT = "org/Tiny-SID", "a1" * 20
WEIGHTS = "model.safetensors"
WRONG = "0" * 64


@pytest.fixture(scope="module")
def mar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = sources.resolve("demo", root=ROOT / "models")
    return archive.build(
        spec, tmp_path_factory.mktemp("store"), checkpoints=tmp_path_factory.mktemp("checkpoints")
    )


@pytest.fixture
def sha256(mar: Path) -> str:
    return FileRecord.of(mar).sha256


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (folder := tmp_path / "volume").mkdir()
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, mar: Path) -> Iterator[Hub]:
    """Object storage with voices-3.mar, and a hub with a checkpoint."""
    checkpoint = write_checkpoint(tmp_path / "published")
    with hub() as running:
        running.publish(REPO, checkpoint, COMMIT)
        running.repos[REPO].commits[COMMIT]["voices-3.mar"] = mar.read_bytes()
        yield running


def address(stand_in: Hub, name: str = "voices-3.mar") -> str:
    return f"{stand_in.storage}/{REPO}/{COMMIT}/{name}?X-Signature=secret"


def test_an_archive_arrives_under_its_model_s_name(stand_in: Hub, volume: Path, sha256: str) -> None:
    assert deliver.archive(address(stand_in), sha256, volume) == volume / "demo.mar"
    assert [spec.name for spec in archived.read_store(volume)] == ["demo"]
    assert [path.name for path in volume.iterdir()] == ["demo.mar"]  # nothing else stays on the volume


def test_it_is_downloaded_once(stand_in: Hub, volume: Path, sha256: str) -> None:
    for _ in range(2):  # as the container of a restarted pod finds it
        deliver.archive(address(stand_in), sha256, volume)
    assert len(stand_in.downloads("voices-3.mar")) == 1


def test_a_dropped_download_is_completed(
    stand_in: Hub,
    volume: Path,
    sha256: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    stand_in.repos[REPO].faults["voices-3.mar"] = [(1_000_000, "reset"), (1_000_000, "closed")]
    deliver.archive(address(stand_in), sha256, volume)
    assert len(stand_in.downloads("voices-3.mar")) == 3
    assert "secret" not in "".join(capfd.readouterr())  # the client's own warnings would have it


def test_another_file_is_refused_and_leaves_nothing(
    stand_in: Hub, volume: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--to", str(volume), "--archive", address(stand_in), "--sha256", WRONG]
    assert deliver.main(words) == 1
    said = capfd.readouterr().err.splitlines()[-1]
    assert "voices-3.mar has the SHA-256" in said
    assert f"but {WRONG[:12]}… is asked for" in said
    assert "secret" not in said
    assert [path for path in volume.rglob("*") if path.is_file()] == []


def test_a_damaged_file_is_refused(stand_in: Hub, volume: Path, sha256: str) -> None:
    stand_in.repos[REPO].corrupt.add("voices-3.mar")
    with pytest.raises(BundleError, match="damaged in transit, or replaced"):
        deliver.archive(address(stand_in), sha256, volume)
    stand_in.repos[REPO].corrupt.clear()
    deliver.archive(address(stand_in), sha256, volume)  # the next attempt begins from the start


def test_what_is_no_archive_of_ours_is_refused(stand_in: Hub, volume: Path) -> None:
    content = stand_in.repos[REPO].commits[COMMIT][WEIGHTS]
    (given := volume.parent / "given").write_bytes(content)
    with pytest.raises(BundleError, match="is not a readable archive"):
        deliver.archive(address(stand_in, WEIGHTS), FileRecord.of(given).sha256, volume)
    assert list(volume.glob("*.mar")) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bucket/demo.mar", r"^an archive at s3:// cannot be downloaded.*presigned URL"),
        ("demo.mar", r"^an archive at no scheme:// cannot be downloaded"),
        (
            "http://user:secret@127.0.0.1:9/demo.mar?secret",
            r"^http://127\.0\.0\.1:9/demo\.mar: cannot be reached",
        ),
    ],
)
def test_an_address_that_does_not_work_is_said_to_be_so(
    url: str, said: str, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between the client's attempts
    with pytest.raises(BundleError, match=said) as caught:
        deliver.archive(url, WRONG, volume)
    assert "secret" not in str(caught.value)


def test_an_expired_signature_is_said_to_be_one(stand_in: Hub, volume: Path) -> None:
    url = f"{stand_in.endpoint}/org/unknown/resolve/main/demo.mar?X-Signature=secret"
    with pytest.raises(BundleError, match=r"demo\.mar: answered 401: has the presigned URL expired\?$"):
        deliver.archive(url, WRONG, volume)


@pytest.mark.parametrize("words", [[], ["--sha256", "abc"]])
def test_without_a_hash_nothing_is_downloaded(
    words: list[str], stand_in: Hub, volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver.main(["--to", str(volume), "--archive", address(stand_in), *words]) == 1
    assert "is no SHA-256" in capsys.readouterr().err
    assert stand_in.requests == []


def given(stand_in: Hub, folder: Path, **changed: str) -> Path:
    """A model's folder as a ConfigMap mounts it, with the lock of a first fetch."""
    (model := folder / "voices").mkdir()
    (model / "model.yaml").write_text(f"source: {REPO}\nversion: '3.0'\n")
    files = {}
    for name in ("config.json", "preprocessor_config.json", WEIGHTS):
        files[name] = FileRecord.of(folder / "published" / name)
        if name in changed:
            files[name] = files[name].model_copy(update={"sha256": changed[name]})
    Lock(source=REPO, revision=COMMIT, files=files).write(model / "lock.yaml")
    return model


def run(stand_in: Hub, model: Path, volume: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as the hub's client reads its environment when it is imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [sys.executable, "-m", "bundle.deliver", "--to", str(volume), "--model", str(model)]
    return subprocess.run(
        command,
        env=kept | {"HF_ENDPOINT": stand_in.endpoint},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_model_of_the_hub_arrives_as_its_lock_has_it(stand_in: Hub, tmp_path: Path, volume: Path) -> None:
    done = run(stand_in, given(stand_in, tmp_path), volume)
    assert done.returncode == 0, done.stderr
    (spec,) = archived.read_store(volume)
    assert (spec.name, spec.version, spec.source, spec.revision) == ("voices", "3.0", REPO, COMMIT)
    assert sorted(path.name for path in volume.iterdir()) == [".archive.lock", "voices.mar"]


def test_a_model_with_another_hash_is_refused(stand_in: Hub, tmp_path: Path, volume: Path) -> None:
    done = run(stand_in, given(stand_in, tmp_path, **{WEIGHTS: WRONG}), volume)
    assert done.returncode == 1
    assert f"{WEIGHTS} of {REPO} has the digest" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(volume.glob("*.mar")) == []


def test_a_model_that_is_not_pinned_is_refused(stand_in: Hub, tmp_path: Path, volume: Path) -> None:
    (model := given(stand_in, tmp_path) / "lock.yaml").unlink()
    with pytest.raises(BundleError, match=r"voices has no lock\.yaml: a container that starts pins nothing"):
        deliver.model(model.parent, volume)
    assert stand_in.requests == []


def test_a_model_of_which_one_head_is_not_pinned_is_refused(
    stand_in: Hub, tmp_path: Path, volume: Path
) -> None:
    model = given(stand_in, tmp_path)
    (model / "lock.yaml").rename(model / "lock-speaker.yaml")
    (model / "model.yaml").write_text("heads: {speaker: org/Tiny-SID, emotion: org/Tiny-ER}\n")
    with pytest.raises(BundleError, match=r"voices has no lock-emotion\.yaml"):
        deliver.model(model, volume)
    assert stand_in.requests == []
