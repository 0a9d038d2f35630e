"""`make evaluate` against a server that fails in every way: what is counted, what is said, how it exits."""

from __future__ import annotations

import csv
import socket
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest

from clients.identify import Unreachable
from measure.evaluation.endpoint import RETRIES, results
from measure.evaluation.journal import Entry
from tests.unit.client.double import Reply, Server
from tests.unit.measure.evaluation.conftest import Evaluate
from tests.unit.measure.evaluation.outcome import asked, folder, result

ROOT = Path(__file__).resolve().parents[4]


def test_every_clip_is_asked_once_and_counted(
    evaluate: Evaluate, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate() == 0
    assert asked(server) == Counter(f"{number:02}.wav" for number in range(12))
    found = result(tmp_path)
    assert (found.clean.top1.right, found.clean.top5.right, found.clean.top1.clips) == (8, 12, 12)
    assert "top-1 66.7 % (39.1–86.2 %)" in capsys.readouterr().out
    with (folder(tmp_path) / "speakers.csv").open(newline="") as file:
        assert next(csv.DictReader(file)) == {
            "speaker": "bob", "clips": "4", "right": "0", "failures": "0", "taken_for": "ann×4",
        }  # fmt: skip


def test_clips_that_fail_are_listed_count_as_wrong_and_make_the_exit_code_1(
    evaluate: Evaluate, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "03.wav").unlink()
    refusal = {"error": "too short", "code": "audio_too_short"}
    server.answers[b"05.wav"] = Reply(status=422, body=refusal)
    server.answers[b"06.wav"] = Reply(body=b"<html>")
    assert evaluate() == 1
    found = result(tmp_path)
    assert (found.clean.top1.right, found.clean.top1.clips, found.clean.failures) == (5, 12, 3)
    assert [(each.clip, each.code) for each in found.failures] == [
        ("03.wav", "unreadable_file"),
        ("05.wav", "audio_too_short"),
        ("06.wav", "bad_answer"),
    ]
    said = capsys.readouterr().out
    assert "failed: 03.wav (as recorded): unreadable_file: No such file or directory" in said
    assert "failed: 05.wav (as recorded): audio_too_short: too short (422 audio_too_short)" in said


def test_one_clip_without_an_answer_in_time_is_a_failure_and_not_the_end(
    evaluate: Evaluate, server: Server, tmp_path: Path
) -> None:
    server.answers[b"05.wav"] = Reply(delay=1.0)
    assert evaluate("--timeout", "0.3") == 1
    (failure,) = result(tmp_path).failures
    assert (failure.clip, failure.code) == ("05.wav", "timed_out")
    assert result(tmp_path).clean.top1.clips == 12


def test_answers_come_before_the_exception_that_ends_the_run() -> None:
    gone: Future[Entry] = Future()
    gone.set_exception(Unreachable("gone"))
    there: Future[Entry] = Future()
    there.set_result(Entry("a.wav", "as recorded", 1, []))
    for order in ([gone, there], [there, gone]):
        given = results(order)
        assert next(given).clip == "a.wav"
        with pytest.raises(Unreachable):
            next(given)


def test_what_failed_is_asked_again_and_what_was_answered_is_not(
    evaluate: Evaluate, server: Server, tmp_path: Path
) -> None:
    server.answers[b"05.wav"] = Reply(status=500, body=b"")
    assert evaluate() == 1
    server.answers.clear()
    server.requests.clear()
    assert evaluate() == 0
    assert asked(server) == Counter(["05.wav"])
    assert result(tmp_path).clean.top1.right == 8


def test_a_full_server_is_waited_for(evaluate: Evaluate, server: Server, tmp_path: Path) -> None:
    server.will_refuse(503, "overloaded", times=6)
    assert evaluate() == 0
    assert result(tmp_path).failures == []


def test_a_server_that_goes_away_ends_the_run_with_3_and_keeps_what_was_answered(
    evaluate: Evaluate, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers[b"07.wav"] = Reply(reset=True)
    assert evaluate() == 3
    error = capsys.readouterr().err
    assert "cannot reach" in error
    assert "run it again to go on" in error
    assert error.count("\n") == 1
    server.answers.clear()
    assert evaluate() == 0
    assert asked(server) == Counter(f"{number:02}.wav" for number in range(12)) + Counter(
        {"07.wav": RETRIES + 1}
    )
    assert result(tmp_path).clean.top1.right == 8


def test_a_clip_in_flight_when_the_server_goes_away_is_not_asked_again_once_answered(
    evaluate: Evaluate, server: Server, tmp_path: Path
) -> None:
    server.answers[b"10.wav"] = Reply(reset=True)
    server.answers[b"11.wav"] = Reply(delay=3.0)  # begun beside it, answered long after its last attempt
    assert evaluate("--concurrency", "2") == 3
    server.answers.clear()
    server.requests.clear()
    assert evaluate() == 0
    assert asked(server) == Counter(["10.wav"])
    assert result(tmp_path).clean.top1.right == 8


def test_no_server_at_all_is_3(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from measure.evaluation.__main__ import main

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    assert main(["--url", url, "--model", "sid", "--data", str(table), "--out", str(tmp_path / "out")]) == 3
    assert "cannot reach" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "nowhere"), "DATA=nowhere is neither a folder nor a CSV file"),
        (("--model", "demo", "--data", "nowhere"), "DATA=nowhere"),
    ],
)
def test_nothing_to_evaluate_is_2_and_one_line(
    evaluate: Evaluate, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [("--concurrency", "0"), ("--limit", "-1"), ("--local",), ("--split", "x"), ("--timeout", "0")],
)
def test_wrong_usage_is_2(evaluate: Evaluate, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        evaluate(*arguments)
    assert caught.value.code == 2


def test_weights_swapped_under_one_version_are_noticed(
    evaluate: Evaluate, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate() == 0
    server.otherwise = Reply(body=[{"label": "ann", "score": 0.2}, {"label": "bob", "score": 0.1}])
    assert evaluate() == 2
    assert "written by another sid" in capsys.readouterr().err


def test_another_version_has_a_journal_of_its_own(evaluate: Evaluate, server: Server, tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        server.otherwise = Reply(headers={"X-Model-Version": version})
        assert evaluate() == 0
    names = sorted(each.name for each in (tmp_path / "out" / "evaluation").iterdir())
    assert names == ["sid-1.0-endpoint-mine", "sid-2.0-endpoint-mine"]


def test_a_sample_says_that_it_is_one(
    evaluate: Evaluate, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--limit", "5") == 0
    assert sum(asked(server).values()) == 5
    assert "A sample of 5 of 12 clips" in capsys.readouterr().out


def test_a_model_that_knows_none_of_the_speakers_is_remarked_on(
    evaluate: Evaluate, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.otherwise = Reply(body=[{"label": "zoe", "score": 1.0}])
    assert evaluate() == 0
    assert "does this model know these speakers?" in capsys.readouterr().out


def test_a_server_that_refuses_the_probe_is_2(
    evaluate: Evaluate, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will_refuse(404, "model_not_found")
    assert evaluate() == 2
    error = capsys.readouterr().err
    assert "does not answer the probe: because of model_not_found (404 model_not_found)" in error
    assert error.count("\n") == 1


def test_voxcelebs_test_split_is_held_to_the_published_figure(
    evaluate: Evaluate, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, lines = tmp_path / "VoxCeleb1", []
    for number in range(20):
        name = f"id1{number % 2:04}/video/{number:05}.wav"
        (root / "dev" / "wav" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "dev" / "wav" / name).write_bytes(name.encode())
        lines.append(f"{1 if number < 10 else 3} {name}")
    (root / "veri_test_class.txt").write_text("\n".join(lines))
    server.otherwise = Reply(body=[{"label": "id10000", "score": 1.0}])
    assert evaluate("--data", str(root), "--model", "wav2vec2-base-superb-sid") == 0
    said = capsys.readouterr().out
    assert "on VoxCeleb1 test, endpoint: top-1 50.0 % (23.7–76.3 %)" in said
    assert "Published: 75.18 %" in said
    assert "The difference of −25.18 points is not significant" in said
    assert sum(asked(server).values()) == 10


def test_the_token_is_sent(evaluate: Evaluate, server: Server) -> None:
    assert evaluate("--token", "s3cret") == 0
    assert {headers["authorization"] for _, headers, _ in server.requests} == {"Bearer s3cret"}


def test_as_many_clips_are_in_flight_as_asked_for(evaluate: Evaluate, server: Server) -> None:
    server.otherwise = Reply(delay=0.05)
    assert evaluate("--concurrency", "3") == 0
    assert server.most_in_flight == 3


def test_a_model_of_several_heads_is_2_and_named(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--model", "superb/wav2vec2-base-superb-ic") == 2
    assert "has several heads (action, object, location)" in capsys.readouterr().err
