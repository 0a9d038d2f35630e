"""`python -m clients.batch` against a server that fails in every way; each clip is answered exactly once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clients.batch import command, run
from clients.batch.pace import LEAST, Pace
from clients.identify import Answer
from tests.unit.client.double import Server


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    for name in ("a.wav", "b/ü.flac", "b/c d.mp3"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    (folder / "notes.txt").write_text("no audio")
    return folder


def batch(server: Server, source: Path, out: Path, *more: str, model: str = "demo") -> int:
    arguments = ["--in", str(source), "--out", str(out), "--url", server.url, "--model", model]
    return command.main([*arguments, "--retries", "0", *more])


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_bytes().splitlines()]


def names(out: Path) -> list[str]:
    return sorted(record["clip"] for record in lines(out))


def test_one_line_a_clip(
    server: Server, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "answers.jsonl"
    assert batch(server, archive, out) == 0
    assert names(out) == ["a.wav", "b/c d.mp3", "b/ü.flac"]
    assert {record["model"] for record in lines(out)} == {"demo"}
    assert lines(out)[0]["labels"][0] == {"label": "ann", "score": 0.9}
    assert "3 answers" in capsys.readouterr().err
    assert sorted(body for *_, body in server.requests) == sorted(
        name.encode() for name in ("a.wav", "b/ü.flac", "b/c d.mp3")
    )


def test_a_list_names_its_clips_in_a_column_relative_to_itself(
    server: Server, archive: Path, tmp_path: Path
) -> None:
    (archive / "list.csv").write_text(
        'speaker,clip\nann,"b/c d.mp3"\nbob,a.wav\nann,"b/c d.mp3"\nx,gone.wav\n'
    )
    out = tmp_path / "answers.jsonl"
    assert batch(server, archive / "list.csv", out) == 1
    assert names(out) == ["a.wav", "b/c d.mp3", "gone.wav"]
    (gone,) = [record for record in lines(out) if "error" in record]
    assert (gone["clip"], gone["code"]) == ("gone.wav", "unreadable_file")


def test_progress_is_said_while_every_clip_waits(
    server: Server,
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "SAY_SECONDS", 0.1)
    server.otherwise.delay = 0.5
    out = tmp_path / "answers.jsonl"
    assert batch(server, archive, out) == 0
    first, second, *_, last = capsys.readouterr().err.splitlines()
    assert first == f"batch: 0 of 3 clips have answers in {out}"
    assert second == "batch: 0 of 3 clips, 0.0/s, 0 failed"
    assert last == f"batch: 3 answers in {out}, 0 of them errors"


@pytest.mark.parametrize(
    "left", [b'{"cl', b'{"clip": "b/c d', b'{"clip": "b/c d.mp3", "model": "demo", "labels": []}']
)
def test_a_killed_run_is_continued_and_its_unfinished_line_removed(
    left: bytes, server: Server, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "answers.jsonl"
    out.write_bytes(b'{"clip": "a.wav", "model": "demo", "labels": []}\n' + left)
    assert batch(server, archive, out) == 0
    assert names(out) == ["a.wav", "b/c d.mp3", "b/ü.flac"]
    assert len(server.requests) == 2
    assert f"batch: 1 of 3 clips have answers in {out}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"clip": "a.wav", "model": "other"}\n', "has answers of other, not of demo"),
        (b"clip,label\n", "line 1 is no answer of an earlier run"),
        (b"[]\n", "line 1 is no answer of an earlier run"),
        (b'{"clip1": "one line, and no end"}', "line 1 is no answer of an earlier run"),
        (b'{"clip": "a.wav", "model": "demo", "labels": []}\nnotes', "line 2 is no answer of an earlier run"),
    ],
)
def test_a_file_of_something_else_is_left_alone(
    content: bytes,
    said: str,
    server: Server,
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "answers.jsonl"
    out.write_bytes(content)
    assert batch(server, archive, out) == 2
    assert said in capsys.readouterr().err
    assert out.read_bytes() == content
    assert server.requests == []


def test_a_full_server_and_one_that_is_away_are_waited_for(
    server: Server, archive: Path, tmp_path: Path
) -> None:
    server.will_refuse(429, "too_many_requests", 2)
    server.will(reset=True)
    server.will_refuse(503, "overloaded")
    out = tmp_path / "answers.jsonl"
    assert batch(server, archive, out) == 0
    assert names(out) == ["a.wav", "b/c d.mp3", "b/ü.flac"]
    assert len(server.requests) == 7


def test_a_clip_that_is_refused_has_its_reason_and_the_others_their_answers(
    server: Server, archive: Path, tmp_path: Path
) -> None:
    server.answers[b"a.wav"] = type(server.otherwise)(400, {"error": "no audio", "code": "invalid_audio"})
    out = tmp_path / "answers.jsonl"
    assert batch(server, archive, out) == 1
    (refused,) = [record for record in lines(out) if "error" in record]
    assert (refused["clip"], refused["code"], refused["status"]) == ("a.wav", "invalid_audio", 400)
    assert batch(server, archive, out) == 1, "it is not asked again"
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (404, "model_not_found")])
def test_what_no_clip_would_pass_ends_the_run(
    status: int, code: str, server: Server, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.otherwise = type(server.otherwise)(status, {"error": f"because of {code}", "code": code})
    out = tmp_path / "answers.jsonl"
    assert batch(server, archive, out, "--concurrency", "1") == 2
    assert lines(out) == []
    assert len(server.requests) == 1
    assert code in capsys.readouterr().err


def test_patience_ends(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--in", str(archive), "--out", str(tmp_path / "out"), "--url", "http://127.0.0.1:9"]
    assert command.main([*arguments, "--patience", "0", "--retries", "0"]) == 3
    assert "cannot reach" in capsys.readouterr().err


def test_two_runs_do_not_write_one_file(
    server: Server, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fcntl = pytest.importorskip("fcntl")
    out = tmp_path / "answers.jsonl"
    with out.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert batch(server, archive, out) == 2
    assert "another run writes to" in capsys.readouterr().err


def answer(seconds: float, work: float | None, attempts: int = 1) -> Answer:
    return Answer([], "", seconds, attempts, work_seconds=work)


def test_the_window_grows_while_nothing_waits_and_shrinks_while_something_does() -> None:
    pace = Pace(8)
    for _ in range(40):
        pace.learn(answer(0.105, 0.1))
    assert pace.window == 8.0
    pace.learn(answer(0.5, 0.1))
    assert pace.window == pytest.approx(5.6)
    for _ in range(40):
        pace.learn(answer(0.5, 0.1))
    assert pace.window == LEAST
    pace.learn(answer(0.12, 0.1))
    assert pace.window > LEAST, "it is found out when the others have gone"


def test_a_refusal_shrinks_it_and_a_server_without_timing_is_asked_one_at_a_time() -> None:
    pace = Pace(8)
    pace.learn(answer(0.1, None))
    assert pace.window == 1.0
    pace.learn(answer(0.105, 0.1, attempts=2))
    assert pace.window < 1.0
