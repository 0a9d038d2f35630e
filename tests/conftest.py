"""Which processor and model server the tests ran on, and how to run them on others."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from speaker_id.plan import FOLDER_VARIABLE

from measure import ROOT, command
from measure.machine import processor
from serving import model_servers

WORKER_BYTES = 3 << 30  # of one with the servers of its tests; one alone, at the models of full size, has 4


def pytest_addoption(parser: pytest.Parser) -> None:
    command.add_processor_option(parser.addoption)
    parser.addoption(
        "--server",
        choices=model_servers.NAMES,
        default=model_servers.DEFAULT.name,
        help="tests that are marked any_server run against this model server too",
    )


def pytest_configure(config: pytest.Config) -> None:
    kernels = ROOT / "build" / "kernels"  # measured once for all servers and runs
    kernels.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(FOLDER_VARIABLE, str(kernels))
    command.hold(config.getoption("--processor"))
    if config.getoption("--processor") == "avx2":
        import torch

        found = torch.cpu.get_capabilities()
        less = {
            name: value for name, value in found.items() if not name.startswith(("avx512", "amx", "bf16"))
        }
        torch.cpu.get_capabilities = lambda: less


def pytest_xdist_auto_num_workers() -> int:
    """Workers for `-n auto`: two more than cores, since end-to-end tests wait for processes half of their time.

    One more, where the memory does not hold that many with the servers of their tests.
    """
    cores = os.cpu_count() or 1
    return cores + (2 if psutil.virtual_memory().available >= (cores + 2) * WORKER_BYTES else 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End-to-end tests come first, a minute and more a file: at the end, short files keep every worker busy."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


def pytest_report_header(config: pytest.Config) -> list[str]:
    cpuinfo = Path("/proc/cpuinfo")
    name, flags = processor(cpuinfo.read_text() if cpuinfo.exists() else "")
    played = "" if config.getoption("--processor") == "own" else ", as one that has AVX2 alone"
    servers = {model_servers.DEFAULT.name, config.getoption("--server")}
    return [
        f"processor: {name}, {os.cpu_count()} cores, {flags}{played}",
        f"model servers of tests that any is right for: {', '.join(sorted(servers))}",
    ]
