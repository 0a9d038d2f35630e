"""A command's own server: what it serves, and what is left of one that was killed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from bundle import archive, archived, sources, store
from bundle.spec import ModelSpec
from serving import temporary
from serving.host.processes import Identity
from serving.state import RUN, State


def test_what_a_killed_evaluation_left_is_ended_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dead, alive = Identity(psutil.Process().pid, "b00t", 1.0), Identity.of(psutil.Process())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as gateway:
        try:
            running = Identity.of(psutil.Process(gateway.pid))
            for name, process, child in (
                ("evaluate-1", dead, running),
                ("evaluate-2", alive, None),
                ("8080", dead, None),
            ):
                (RUN / name).mkdir(parents=True)
                State(["demo"], "http://127.0.0.1:1", "", "", "", "", "", process, child, []).write(
                    RUN / name
                )
            temporary.clean("evaluate")
            assert not running.alive
        finally:
            gateway.kill()
    assert sorted(each.name for each in RUN.iterdir()) == ["8080", "evaluate-2"]


def test_a_promoted_version_is_served_and_its_archive_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Service:
        def __init__(self, specs: Sequence[ModelSpec], *_: object) -> None:
            self.specs = specs

        def start(self, _: object) -> None: ...

        def stop(self, _: float) -> None: ...

    declared = sources.resolve("demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(temporary, "Service", Service)
    monkeypatch.setattr(temporary.signal, "signal", lambda *_: None)
    monkeypatch.setattr(
        archived, "read", lambda mar: declared.model_copy(update={"version": store.version_of(mar)})
    )
    monkeypatch.setattr(archive, "build", lambda spec, folder: packed(folder / "demo.mar", spec.version))
    store.STORE.mkdir()
    packed(store.of_version(store.STORE, "demo", "7.0"), "7.0")
    store.promote(store.STORE, "demo", "7.0", declared.version)
    with temporary.serving([declared], "demo", Console(quiet=True)) as service:
        assert [spec.version for spec in service.specs] == ["7.0"]
    assert store.version_of(store.STORE / "demo.mar") == "7.0"


def packed(mar: Path, version: str) -> None:
    with zipfile.ZipFile(mar, "w") as made:
        made.writestr(store.MANIFEST, json.dumps({"model": {"modelName": "demo", "modelVersion": version}}))
