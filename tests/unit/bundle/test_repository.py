"""Triton's form of an archive."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bundle import BundleError, archive, exchange, repository, store
from bundle.sources import resolve
from tests.doubles.checkpoints import write_checkpoint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "tiny", pickled=True)


def made(model: Path, folder: Path, text: str = "") -> Path:
    (model / "model.yaml").write_text(f"source: .\n{text}")
    mar = archive.build(resolve(str(model)), folder / "store", checkpoints=folder / "checkpoints")
    repository.write(mar, folder / "repository")
    return folder / "repository"


def test_a_repository_has_the_model_its_labels_and_the_gateways_entrance(model: Path, tmp_path: Path) -> None:
    folder = made(model, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["tiny", "tiny.http.1.0"]
    assert sorted(path.name for path in (folder / "tiny").iterdir()) == ["1", "config.pbtxt", "labels.txt"]
    version = {path.name for path in (folder / "tiny" / "1").iterdir()}
    assert {"model.py", "speaker_worker.py", "speaker_id", "checkpoint", "model-config.yaml"} <= version
    assert store.TRITON_FILE not in version


def test_the_settings_are_those_of_model_yaml(model: Path, tmp_path: Path) -> None:
    settings = "{batchSize: 4, maxBatchDelay: 7, minWorkers: 2, maxWorkers: 2, responseTimeout: 10}"
    text = (made(model, tmp_path, f"torchserve: {settings}\n") / "tiny" / "config.pbtxt").read_text()
    for expected in (
        "max_batch_size: 4\n",
        "max_queue_delay_microseconds: 7000 ",
        "instance_group [{count: 2, kind: KIND_AUTO}]",
        "max_queue_size: 100, timeout_action: REJECT, default_timeout_microseconds: 80000000,",
        "dims: [-1], optional: true, allow_ragged_batch: true}",
        'name: "scores", data_type: TYPE_FP32, dims: [-1], label_filename: "labels.txt"',
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("workers", "gpus", "expected"),
    [
        (1, 0, [(1, None)]),
        (2, 1, [(2, None)]),
        (4, 2, [(2, 0), (2, 1)]),
        (3, 2, [(2, 0), (1, 1)]),
        (1, 2, [(1, 0)]),
        (16, 8, [(2, gpu) for gpu in range(8)]),
    ],
)
def test_the_workers_are_shared_out_over_the_gpus(
    workers: int, gpus: int, expected: list[tuple[int, int | None]]
) -> None:
    lines = [line for line in repository.instances(workers, gpus) if not line.startswith("#")]
    assert lines == [
        f"instance_group [{{count: {count}, kind: {'KIND_AUTO' if gpu is None else f'KIND_GPU, gpus: [{gpu}]'}}}]"
        for count, gpu in expected
    ]


def test_a_repository_for_several_gpus_says_so(model: Path, tmp_path: Path) -> None:
    (model / "model.yaml").write_text("source: .\ntorchserve: {minWorkers: 4, maxWorkers: 4}\n")
    mar = archive.build(resolve(str(model)), tmp_path / "store", checkpoints=tmp_path / "checkpoints")
    repository.write(mar, tmp_path / "repository", gpus=2)
    text = (tmp_path / "repository" / "tiny" / "config.pbtxt").read_text()
    assert (
        text.count("instance_group [{count: 2, kind: KIND_GPU, gpus: [") == text.count("instance_group") == 2
    )


def test_each_head_has_outputs_and_labels_of_its_own(model: Path, tmp_path: Path) -> None:
    folder = made(model, tmp_path, "speaker_id: {heads: {one: 2, two: 1}}\n") / "tiny"
    assert len((folder / "labels-one.txt").read_text().splitlines()) == 2
    assert (
        'name: "two.scores", data_type: TYPE_FP32, dims: [-1], label_filename: "labels-two.txt"'
        in (folder / "config.pbtxt").read_text()
    )


def test_two_versions_stand_side_by_side(model: Path, tmp_path: Path) -> None:
    made(model, tmp_path)
    text = (made(model, tmp_path, "version: '2.0'\n") / "tiny" / "config.pbtxt").read_text()
    assert "version_policy {specific {versions: [1, 2]}}" in text
    folder = tmp_path / "repository"
    kept = (folder / "tiny" / "2" / "model.py").stat().st_ino
    repository.remove(folder, "tiny", "1.0")
    assert (folder / "tiny" / "config.pbtxt").read_text() == text.replace("versions: [1, 2]", "versions: [2]")
    assert repository.versions(folder / "tiny") == [2]
    assert (folder / "tiny" / "2" / "model.py").stat().st_ino == kept, "a link, not a copy of the weights"
    assert sorted(path.name for path in folder.iterdir()) == ["tiny", "tiny.http.2.0"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_export_replaces_the_former_one_whole(model: Path, tmp_path: Path) -> None:
    for text in ("", "version: '2.0'\n"):
        (model / "model.yaml").write_text(f"source: .\n{text}")
        mar = archive.build(resolve(str(model)), tmp_path / "store", checkpoints=tmp_path / "checkpoints")
        folder = repository.export(mar)
    assert sorted(path.name for path in folder.iterdir()) == ["tiny", "tiny.http", "tiny.http.2.0"]
    assert repository.versions(folder / "tiny") == [2]
    assert "model_version: 2" in (folder / "tiny.http" / "config.pbtxt").read_text()
    assert sorted(path.name for path in (tmp_path / "store").iterdir() if path.is_dir()) == ["triton"]


@pytest.mark.parametrize("exchanged", [True, False])
def test_a_folder_replaces_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanged: bool) -> None:
    if not exchanged:
        monkeypatch.setattr(exchange, "_exchanged", lambda *_: False)
    new, target = tmp_path / "new", tmp_path / "target"
    for number in range(2):
        (new / str(number)).mkdir(parents=True)
        old = exchange.replace(new, target)
        assert [path.name for path in target.iterdir()] == [str(number)]
    assert old is not None
    assert [path.name for path in old.iterdir()] == ["0"]


@pytest.mark.parametrize(("version", "expected"), [("1.0", 1), ("12", 12), ("3.0.0", 3)])
def test_a_version_is_tritons_number(version: str, expected: int) -> None:
    assert repository.number(version) == expected


@pytest.mark.parametrize("version", ["1.5", "0.0", "2.0.1"])
def test_a_version_that_is_no_whole_number_is_refused(version: str) -> None:
    with pytest.raises(BundleError, match="whole numbers from 1"):
        repository.number(version)


def test_an_archive_of_an_older_bundle_is_refused(model: Path, tmp_path: Path) -> None:
    handler = tmp_path / "handler"
    (handler / "speaker_id").mkdir(parents=True)
    (handler / "speaker_handler.py").write_text("class Handler:\n    pass\n")
    mar = archive.build(resolve(str(model)), tmp_path / "store", handler, tmp_path / "checkpoints")
    with pytest.raises(BundleError, match=r"has no triton_model\.py: build it again"):
        repository.write(mar, tmp_path / "repository")


def test_a_worker_finds_bytecode_and_writes_none_into_the_repository(model: Path, tmp_path: Path) -> None:
    version = made(model, tmp_path) / "tiny" / "1"
    tag = sys.implementation.cache_tag
    for module in version.rglob("*.py"):
        assert (module.parent / "__pycache__" / f"{module.stem}.{tag}.pyc").is_file(), module
