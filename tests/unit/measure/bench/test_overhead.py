"""What serving costs: the clips that are sent, the stages that are counted, and how medians and ratios are told."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from speaker_id.clip import EncodedAudio
from speaker_id.protocol import Payload, parse
from speaker_id.settings import Settings

from measure import ROOT, MeasureError
from measure.bench import null_stages
from measure.bench.overhead import capacity, cost, page, start, targets
from measure.bench.overhead.asking import questions
from measure.bench.overhead.checkout import checkouts, shown
from measure.bench.recordings import CLIP_SECONDS, recordings
from measure.loadtest.slo import Slo
from measure.loadtest.target import Target
from tests.decoding import shared

MACHINE = {"cpu": "x", "cpu_flags": "", "cores": 2, "versions": "v", "commit": "c", "dirty": False}
RUN = {"machine": MACHINE, "date": "2026", "foreign_cores": 0.0, "server": "torchserve"}


@pytest.mark.parametrize("name", recordings())
def test_every_clip_is_as_long_as_the_table_says(name: str) -> None:
    decoded = shared().decode(EncodedAudio(recordings()[name]), min_samples=400, cpu_seconds=60.0)
    assert len(decoded.waveform) / 16000 == pytest.approx(CLIP_SECONDS, abs=0.15)


@pytest.mark.parametrize("name", ["wav", "wav in v2 JSON", "wav in v2 binary"])
def test_every_form_carries_the_same_clip(name: str) -> None:
    asked = questions()[name]
    (clip,) = parse(Payload({"body": asked.body}, asked.headers), Settings()).clips
    assert isinstance(clip, EncodedAudio)
    assert bytes(clip.data) == recordings()["wav"]


def burn(seconds: float) -> None:
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


def test_stages_add_up_and_what_none_of_them_took_is_told_apart(tmp_path: Path) -> None:
    decoding = SimpleNamespace(start=lambda: burn(0.02))
    pipeline = SimpleNamespace(accept=lambda: burn(0.03), decoding=decoding, answering=lambda: burn(0.01))
    telemetry = SimpleNamespace(batch=lambda: None, event=lambda: None)
    timed = null_stages.Timed(tmp_path, pipeline, telemetry)
    burn(0.02)
    timed.begin()
    for stage in (pipeline.accept, pipeline.decoding.start, pipeline.answering):
        stage()
    burn(0.04)
    timed.end(2)
    found = json.loads((tmp_path / f"{os.getpid()}.json").read_text())
    expected = {"transfer": 0.02, "parse": 0.03, "decode": 0.02, "answer": 0.01, "rest": 0.04, "requests": 2}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=0.008)


def costs(rates: list[float]) -> cost.Cost:
    return cost.Cost(rates, [{"worker": 1.25, "Triton": 0.0}] * len(rates), [{"parse": 0.5}] * len(rates))


def test_ratios_are_of_neighbours_in_time_and_medians_of_all_else() -> None:
    found = {
        ("this", "wav", 16): costs([100.0, 50.0, 30.0]),
        ("other", "wav", 16): costs([50.0, 50.0, 10.0]),
    }
    this, other = (cost.row(key, each, found) for key, each in found.items())
    assert (this["requests/s"], this["CPU ms"], this["by other"]) == (50.0, 1.25, 2.0)
    assert (other["requests/s"], other["by other"]) == (50.0, None)
    text = page.part("cost", RUN | {"rows": [this, other]})
    assert (
        "| wav | 16 | this | 50 | 1.25 | 1.25 |" in text
    )  # without a column of the server that was not there
    assert "| wav | 16 | 2.00 |" in text


LINES = """\
{"time":"2026-11-26T16:54:38.100Z","level":"info","event":"loading","model":"demo","pid":42}
{"time":"2026-11-26T16:54:38.200Z","level":"info","event":"loading","model":"demo","pid":421}
{"time":"2026-11-26T16:54:40.350Z","level":"info","event":"warming","model":"demo","pid":42}
{"time":"2026-11-26T16:54:40.600Z","level":"info","event":"ready","model":"demo","pid":42,"threads":2}
"""


def test_a_workers_stages_are_read_from_its_log(tmp_path: Path) -> None:
    (tmp_path / "handler_log.log").write_text(LINES)
    loading, warming, ready = start.events(tmp_path, 42)
    assert (warming - loading, ready - warming) == pytest.approx((2.25, 0.25))


def test_a_process_began_when_it_was_started() -> None:
    before = time.time()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert start.created(psutil.Process(child.pid)) == pytest.approx(before, abs=0.3)
        child.communicate(b"\n")


def test_a_worker_that_is_not_ready_is_no_measurement(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(start, "LOG_SECONDS", 0.1)
    (tmp_path / "handler_log.log").write_text(LINES)
    with pytest.raises(MeasureError, match="worker 421 has logged no ready, warming"):
        start.events(tmp_path, 421)


def test_the_page_shows_what_was_recorded_so_far() -> None:
    stages = dict.fromkeys(start.START, 0.5), dict.fromkeys(start.RESTART, 0.25)
    starts = start.Starts(
        "this", Path(), Path(), [stages[0]], [stages[1]], [2.0], [{"resident": 300.0, "its own": 200.0}]
    )
    memory = {how: {"Rss": 300.0, "Pss": 250.0} for how in ("separate", "forked")}
    everything = {
        "start": RUN | {"rows": start.summary([starts]), "model": "demo"},
        "memory": RUN | {"workers": 16, "model": "demo", "MB": memory},
    }
    text = page.text(everything)
    assert "| this | 0.50 | 0.50 | 0.50 | 0.50 | 0.50 | 0.50 | 3.00 |" in text
    assert "| this | 2.0 | 300 | 200 |" in text
    assert "| forked | 300 | 250 | 4.00 |" in text


def test_targets_are_judged_by_what_is_recorded() -> None:
    def row(server: str, seconds: float, resident: float) -> dict[str, Any]:
        return {
            "server": server,
            "start": {"in all": seconds},
            "restart": {"in all": seconds / 2},
            "memory": {"resident": resident},
        }

    asked = {"request": "wav", "server": "this", "CPU ms": 2.5, "by process": {"worker": 1.25}}
    everything = {
        "cost": {"rows": [asked | {"connections": 1, "CPU ms": 9.0}, asked | {"connections": 16}]},
        "start": {"rows": [row("this", 4.0, 300.0), row("other", 8.0, 400.0)]},
        "start, full size": {"rows": [row("this", 9.0, 1300.0)]},
        "capacity": {"by other": 1.6},
    }
    found = [(it.measured, it.met) for it in targets.verdicts(everything)]
    cost_of_wav, times, memory, rate = found[:2], found[2:4], found[4:6], found[6:]
    assert cost_of_wav == [(2.5, True), (1.25, False)]
    assert times == [(0.5, True), (0.5, True)]
    assert memory == [(0.75, False), (1300.0, False)]
    assert rate == [(1.6, True)]
    assert [*targets.verdicts({})] == []


def test_another_version_is_a_folder_or_a_commit(tmp_path: Path) -> None:
    with checkouts("") as (this,):
        assert this.path == ROOT
    with checkouts(str(tmp_path)) as (_, other):
        assert other.path == tmp_path
    with checkouts("HEAD") as (_, other):
        assert (other.path / "serving" / "serve.py").read_bytes()
    assert not other.path.exists()
    assert [shown(each) for each in ("", "HEAD", str(tmp_path))] == ["", "HEAD", tmp_path.name]
    with pytest.raises(MeasureError, match="neither a folder nor a commit"), checkouts("no-such-commit"):
        pass


def queue_of(limit: float) -> Any:
    """One step against a server that answers so many requests a second."""

    def measured(clips: Any, targets: Any, slo: Slo, rate: float, seed: int, **_: Any) -> Any:
        late = 5.0 if rate > limit else 0.1
        return SimpleNamespace(
            breaches=lambda _: ["late"] if rate > limit else [],
            valid=True,
            errors={},
            requests=100,
            percentile=lambda _: late,
            interval=lambda _: (late, late),
        )

    return measured


def test_a_search_ends_between_a_rate_that_held_and_one_that_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "measure", queue_of(61.0))
    monkeypatch.setattr(capacity, "estimate", lambda *_: 70.0)
    for before in (None, 50.0, 90.0):
        found = capacity.capacity([], Target("http://computed"), before, itertools.count(), lambda _: None)
        assert 61.0 / (1 + capacity.PRECISION) < found <= 61.0


def test_capacities_of_two_checkouts_are_compared_round_by_round() -> None:
    rows = [
        {"server": "this", "requests/s": 90.0, "rounds": [80.0, 90.0, 95.0]},
        {"server": "other", "requests/s": 50.0, "rounds": [40.0, 50.0, 55.0]},
    ]
    found = {"slo": "p99=2s", "clips": "38 of 2.0 to 9.0 s, mean 5.0 s", "rows": rows, "by other": 1.8}
    text = page.part("capacity", RUN | found | {"against": "abc1234"})
    assert "| this | 90.0 | 80.0, 90.0, 95.0 |" in text
    assert "The other checkout is abc1234." in text
    assert "This by other: 1.80" in text
