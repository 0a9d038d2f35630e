"""Which server is asked when no URL= is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from bundle import BundleError, sources, temporary
from bundle.processes import Identity
from bundle.state import RUN, State
from evaluation import server

ROOT = Path(__file__).resolve().parents[3]
DEMO = sources.resolve("demo", root=ROOT / "models")


def left(folder: Path, model: str, url: str, process: Identity) -> None:
    """The state file that `make serve` writes."""
    place = folder / RUN / url.rpartition(":")[2]
    place.mkdir(parents=True)
    State([model], url, "", "", "", "", "", serve=process, gateway=None, temp=[]).write(place)


def test_the_server_that_make_serve_started_for_this_model_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alive, dead = Identity.of(psutil.Process()), Identity(psutil.Process().pid, "b00t", 1.0)
    left(tmp_path, "demo", "http://127.0.0.1:1", dead)
    left(tmp_path, "demo", "http://127.0.0.1:2", alive)
    left(tmp_path, "other", "http://127.0.0.1:3", alive)
    with server.endpoint("", DEMO, Console()) as url:
        assert url == "http://127.0.0.1:2"
    assert server.running("nobody") is None


def test_a_url_beats_a_server_that_runs() -> None:
    with server.endpoint("http://elsewhere", None, Console()) as url:
        assert url == "http://elsewhere"


def test_a_model_that_nobody_knows_cannot_be_started() -> None:
    with pytest.raises(BundleError, match="URL="), server.endpoint("", None, Console()):
        pytest.fail("started")


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
