"""The faulty archive's code: any server's adapter finds in it what it imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bundle import archive, store
from measure.chaos import archives


@pytest.mark.parametrize("adapter", [archive.HANDLER_FILE, store.TRITON_FILE])
def test_the_adapters_are_as_shipped_and_find_what_they_import(tmp_path: Path, adapter: str) -> None:
    folder = archives.faulty(tmp_path / "handler")
    source = (folder / adapter).read_text("utf-8")
    assert source == (archive.HANDLER / adapter).read_text("utf-8")
    wanted = {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == Path(archive.WORKER_FILE).stem
        for alias in node.names
    }
    (given,) = (
        ast.literal_eval(node.value)
        for node in ast.parse((folder / archive.WORKER_FILE).read_text("utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    assert wanted
    assert wanted <= set(given)


def test_the_shipped_worker_stands_behind_the_faulty_one(tmp_path: Path) -> None:
    folder = archives.faulty(tmp_path / "handler")
    shipped = folder / archive.CORE_PACKAGE / "shipped.py"
    assert shipped.read_bytes() == (archive.HANDLER / archive.WORKER_FILE).read_bytes()
