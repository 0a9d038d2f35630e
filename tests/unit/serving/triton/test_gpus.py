"""How many GPUs there are, by what a driver's tools print."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.triton import gpus


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("0", 1), ("0,1", 2), ("GPU-1, GPU-2,GPU-3", 3), ("", 0), ("-1", 0), ("0,-1,1", 1)],
)
def test_those_that_cuda_is_shown_are_counted(
    visible: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus.count() == expected


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("GPU 0: NVIDIA H100 (UUID: GPU-a)\nGPU 1: NVIDIA H100 (UUID: GPU-b)", 2),
        ("GPU 0: NVIDIA H100 (UUID: GPU-a)\n  MIG 1g.10gb Device 0: (UUID: MIG-c)", 1),
        ("No devices were found", 0),
    ],
)
def test_otherwise_those_that_the_driver_lists(
    printed: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert gpus.record(tmp_path) == expected
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")  # of a roll-out's shell
    assert gpus.recorded(tmp_path) == expected


def test_without_a_driver_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.count() == 0
