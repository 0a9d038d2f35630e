"""Unit tests run in a folder of their own: the checkout's `build` and `model_store` are what servers use meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def bare_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the models, and with nothing built."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "models").symlink_to(ROOT / "models")
    return folder


@pytest.fixture(autouse=True)
def in_bare_checkout(bare_checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Default paths are relative, and another test's real server may run in the checkout: none is read or written."""
    monkeypatch.chdir(bare_checkout)
    # of programs that a test starts
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'handler'}")
    yield
    left = [each.name for each in bare_checkout.iterdir() if each.name != "models"]
    assert left == [], "written to a default path: give it a folder below tmp_path"
