"""Which processor the tests ran on, and how to run them as on a lesser one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from measure.machine import processor

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--processor",
        choices=("own", "avx2"),
        default="own",
        help="avx2: without AVX-512 and bf16, on x86-64",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--processor") == "avx2":
        os.environ |= AVX2  # before anybody imports torch, which reads it then
        import torch

        found = torch.cpu.get_capabilities()
        less = {
            name: value for name, value in found.items() if not name.startswith(("avx512", "amx", "bf16"))
        }
        torch.cpu.get_capabilities = lambda: less


def pytest_report_header(config: pytest.Config) -> str:
    cpuinfo = Path("/proc/cpuinfo")
    name, flags = processor(cpuinfo.read_text() if cpuinfo.exists() else "")
    played = "" if config.getoption("--processor") == "own" else ", as one that has AVX2 alone"
    return f"processor: {name}, {os.cpu_count()} cores, {flags}{played}"
