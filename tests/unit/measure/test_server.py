"""Which server a command asks: the one at URL=, else the one that runs here, else one of its own; it says which."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from bundle import BundleError, sources
from measure import server
from serving import asked
from serving.host.processes import Identity
from serving.state import RUN, State

ROOT = Path(__file__).resolve().parents[3]
DEMO = sources.resolve("demo", root=ROOT / "models")


def left(folder: Path, model: str, url: str, process: Identity) -> None:
    """The state file that `make serve` writes."""
    place = folder / RUN / url.rpartition(":")[2]
    place.mkdir(parents=True)
    State([model], url, "", "", "", "", "", serve=process, gateway=None, temp=[]).write(place)


def test_the_server_that_make_serve_started_for_this_model_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    alive, dead = Identity.of(psutil.Process()), Identity(psutil.Process().pid, "b00t", 1.0)
    left(tmp_path, "demo", "http://127.0.0.1:1", dead)
    left(tmp_path, "demo", "http://127.0.0.1:2", alive)
    left(tmp_path, "other", "http://127.0.0.1:3", alive)
    left(tmp_path, "demo", "http://127.0.0.1:loadtest-77", alive)  # another command's own
    with server.chosen("", [DEMO], "evaluate", Console(width=200)) as (url, own):
        assert (url, own) == ("http://127.0.0.1:2", None)
    assert capsys.readouterr().out == "evaluate: asking demo at http://127.0.0.1:2, which runs here\n"
    with pytest.raises(asked.NoServer, match=r"no server of demo, other is running: these run: .*:[23].*; "):
        asked.running(["demo", "other"])
    assert asked.running(["other"]).url == asked.running(port=3).url == "http://127.0.0.1:3"


def test_one_of_its_own_where_none_runs_or_the_one_that_runs_may_be_of_another_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Own:
        gateway = SimpleNamespace(url="http://127.0.0.1:9")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "serving", lambda *_: contextlib.nullcontext(Own))
    said = "loadtest: asking a server of its own, as none of demo runs here\n"
    with server.chosen("", [DEMO], "loadtest", Console(width=200)) as (url, own):
        assert (url, own) == ("http://127.0.0.1:9", Own)
    assert capsys.readouterr().out == said
    left(tmp_path, "demo", "http://127.0.0.1:2", Identity.of(psutil.Process()))
    with server.chosen("", [DEMO], "loadtest", Console(width=200), running=False) as (_, own):
        assert own


def test_a_url_beats_a_server_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with server.chosen("http://elsewhere", [DEMO], "loadtest", Console(width=200)) as (url, own):
        assert (url, own) == ("http://elsewhere", None)
    assert capsys.readouterr().out == "loadtest: asking the server at URL=http://elsewhere\n"


def test_a_model_that_nobody_knows_cannot_be_started() -> None:
    with pytest.raises(BundleError, match="URL="), server.chosen("", [], "evaluate", Console(width=200)):
        pytest.fail("started")
