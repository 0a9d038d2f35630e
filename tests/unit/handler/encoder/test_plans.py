"""Kernels are measured once for a processor, its libraries and a model's shapes, and never stop a worker's start."""

import errno
import json
import logging
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from speaker_id.encoder import plans
from speaker_id.encoder.packed import tuning
from speaker_id.plan import Plan

CONFIG = SimpleNamespace(
    conv_dim=(8, 8),
    conv_kernel=(10, 3),
    conv_stride=(5, 2),
    feat_extract_norm="group",
    hidden_size=16,
    intermediate_size=32,
)
FOUND = Plan.parse("rows=512 tile=16 separate 32x16=plain")


class Measured(list[str]):
    """Stands in for the measurement: one entry a time that it is asked for."""

    def __call__(self, *_: Any) -> Plan:
        self.append("measured")
        return FOUND


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    double = Measured()
    monkeypatch.setattr(tuning, "measure", double)
    return double


def plan(folder: Path | None, kernels: str = "auto", precision: Any = "fp32", device: str = "cpu") -> Plan:
    return plans.plan(kernels, CONFIG, precision, device, folder)


def test_the_next_worker_reads_what_the_first_one_measured(
    measured: Measured, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert plan(tmp_path / "kept") == FOUND
        assert plan(tmp_path / "kept") == FOUND
    assert len(measured) == 1
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("kernels measured in ")
    assert second.startswith("kernels as measured before")
    assert first.endswith(f": {FOUND}")
    assert second.endswith(f": {FOUND}")


def test_a_kept_file_says_what_it_is_for_and_nothing_else_is_left(measured: Measured, tmp_path: Path) -> None:
    plan(tmp_path)
    (file,) = tmp_path.glob("*.json")
    content = json.loads(file.read_text())
    assert content["plan"] == str(FOUND)
    assert content["precision"] == "fp32"
    assert content["products"][0] == {"outputs": 8, "inputs": 10, "use": "gelu", "hop": 5}
    assert sorted(each.name for each in tmp_path.iterdir()) == [".lock", file.name]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"plan": 3}', '{"plan": "warp"}', '"text"'])
def test_a_damaged_file_is_measured_again_and_replaced(
    measured: Measured, tmp_path: Path, content: str
) -> None:
    plan(tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(content)
    assert plan(tmp_path) == FOUND
    assert plan(tmp_path) == FOUND
    assert len(measured) == 2


def test_a_folder_that_cannot_be_written_is_no_failure(measured: Measured, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert plan(tmp_path / "file" / "kept") == FOUND
    assert plan(tmp_path / "absent" / "kept") == FOUND
    assert plan(None) == FOUND
    assert len(measured) == 3


def test_a_full_disk_is_no_failure_and_nothing_stays_of_the_file(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert plan(tmp_path) == FOUND
    assert [each.name for each in tmp_path.iterdir()] == [".lock"]


def test_another_processor_or_number_of_threads_is_measured_for_itself(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(tmp_path)
    (tmp_path / "cpuinfo").write_text("vendor_id\t: Another\nflags\t\t: avx2\n\nvendor_id\t: Third\n")
    monkeypatch.setattr(plans, "CPUINFO", tmp_path / "cpuinfo")
    assert plans.processor() == {"vendor_id": "Another", "flags": "avx2"}
    plan(tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    plan(tmp_path)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    plan(tmp_path)
    assert len(measured) == 4
    assert len([*tmp_path.glob("*.json")]) == 4


def test_a_pinned_plan_and_a_gpu_measure_nothing(measured: Measured, tmp_path: Path) -> None:
    assert plan(tmp_path, "rows=128 plain") == Plan(rows=128, kind="plain")
    assert plan(tmp_path, device="cuda:0") == Plan()
    assert (measured, [*tmp_path.iterdir()]) == ([], [])


def test_bf16_is_not_measured_where_it_would_be_emulated(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert plan(tmp_path, precision="bf16") == Plan()
    assert measured == []


def test_of_workers_that_start_at_once_one_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def slow(*_: Any) -> Plan:
        calls.append(time.monotonic())
        time.sleep(0.3)
        return FOUND

    monkeypatch.setattr(tuning, "measure", slow)
    found: list[Plan] = []
    workers = [threading.Thread(target=lambda: found.append(plan(tmp_path))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [FOUND] * 4
    assert len(calls) == 1
