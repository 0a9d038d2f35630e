"""The generator, as a process of its own, against endpoints that answer as they are told."""

from __future__ import annotations

import base64
import json
import threading
import time
from pathlib import Path

import pytest

from measure.loadtest import LoadTestError
from measure.loadtest.clips import Clip
from measure.loadtest.drive import Plan, Record, Shot, drive, from_json, plan, to_json
from measure.loadtest.target import LENGTH, Target
from tests.unit.measure.loadtest.endpoint import GOOD, Answer, dripping, endpoint


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Three files of different contents and lengths."""
    made = []
    for number, seconds in enumerate((1.0, 2.0, 3.0)):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(f"audio {number}".encode())
        made.append(Clip(path.name, path, seconds, "audio/wav"))
    return made


def slowly(seconds: float, answer: Answer = GOOD) -> object:
    def wait(_: bytes) -> Answer:
        time.sleep(seconds)
        return answer

    return wait


def test_arrivals_do_not_wait_for_answers(clips: list[Clip]) -> None:
    with endpoint(slowly(0.5)) as seen:  # type: ignore[arg-type]
        records = drive(plan(clips, [Target(seen.url)], [index * 0.02 for index in range(20)], 0.4, 0))
    assert len(records) == 20
    assert [record.scheduled for record in records] == pytest.approx([index * 0.02 for index in range(20)])
    assert all(record.error is None and 0.5 <= record.latency < 1.5 for record in records)
    assert max(record.sent for record in records) < 0.5 <= min(record.finished for record in records)
    assert seen.connections == 20  # all of them at once


def test_connections_are_kept_and_used_again(clips: list[Clip]) -> None:
    with endpoint() as seen:
        records = drive(plan(clips, [Target(seen.url)], [index * 0.05 for index in range(20)], 1.0, 0))
    assert [record.error for record in records] == [None] * 20
    # on a busy machine a request may be sent before the one before it is answered: then it needs another connection
    begun = [record.sent for record in records]
    assert seen.connections == max(
        sum(record.sent <= moment < record.finished for record in records) for moment in begun
    )


def test_a_caller_who_waits_for_each_answer_keeps_one_connection(clips: list[Clip]) -> None:
    with endpoint() as seen:
        records = drive(plan(clips, [Target(seen.url)], [0.0] * 1000, 0.5, 0, callers=1))
    assert len(records) > 1
    assert seen.connections == 1


def test_latency_counts_from_the_moment_a_request_was_due(clips: list[Clip]) -> None:
    turn = threading.Lock()

    def one_at_a_time(_: bytes) -> Answer:
        with turn:
            time.sleep(0.1)
            return GOOD

    with endpoint(one_at_a_time) as seen:
        records = drive(plan(clips, [Target(seen.url)], [0.0] * 5, 0.1, 0))
    # five at once, each 100 ms of work: the last waits for four
    for turn, latency in enumerate(sorted(record.latency for record in records), 1):
        assert 0.1 * turn <= latency < 0.1 * turn + 0.5


def test_every_clip_is_sent_once_before_any_comes_again(clips: list[Clip]) -> None:
    made = plan(clips, [Target("http://somewhere")], [0.0] * 7, 1.0, 5)
    names = [shot.clip.name for shot in made.shots]
    assert sorted(names[:3]) == sorted(names[3:6]) == ["0.wav", "1.wav", "2.wav"]
    assert names == [
        shot.clip.name for shot in plan(clips, [Target("http://elsewhere")], [0.0] * 7, 1.0, 5).shots
    ]


def test_a_plan_survives_its_way_to_the_worker(clips: list[Clip]) -> None:
    targets = [Target("http://a", "multipart:file", {"X": "1"}, 3.0), Target("http://b")]
    made = plan(clips, targets, [0.1, 0.2, 0.3, 0.4], 0.5, 1, callers=2)
    assert from_json(to_json(made)) == made


def test_the_answers_label_and_headers_are_recorded(clips: list[Clip]) -> None:
    headers = {"Server-Timing": "decode;dur=2.5, inference;dur=40.0", "X-Batch-Size": "3"}
    with endpoint(lambda _: (200, GOOD[1], headers)) as seen:
        (record,) = drive(plan(clips, [Target(seen.url)], [0.0], 0.1, 0))
    assert (record.label, record.status, record.error) == ("anna", 200, None)
    assert (record.decode_ms, record.inference_ms, record.batch_size) == (2.5, 40.0, 3)


def test_an_answer_that_names_nobody_is_an_error_with_a_code(tmp_path: Path) -> None:
    answers: dict[str, Answer] = {
        "overloaded": (503, b'{"error": "full", "code": "overloaded"}', {}),
        "http_500": (500, b"Traceback", {}),
        "http_302": (302, b"", {"Location": "http://127.0.0.1:9/"}),
        "bad_answer": (200, b"<html>hello</html>", {}),
    }
    for code in answers:
        (tmp_path / code).write_text(code)
    with endpoint(lambda body: answers[body.decode()]) as seen:
        clips = [Clip(code, tmp_path / code, 1.0, "audio/wav") for code in answers]
        records = drive(plan(clips, [Target(seen.url)], [0.0] * len(clips), 0.1, 0))
    assert {record.clip: (record.error, record.status, record.label) for record in records} == {
        code: (code, status, None) for code, (status, *_) in answers.items()
    }


def test_no_answer_in_time_and_no_server_are_errors_without_a_status(clips: list[Clip]) -> None:
    with endpoint() as gone:
        pass
    with endpoint(slowly(2.0)) as slow:  # type: ignore[arg-type]
        targets = [Target(slow.url, timeout=0.3), Target(gone.url)]
        records = drive(Plan(tuple(Shot(0.0, clips[0], target) for target in targets), 0.1))
    (late,) = (record for record in records if record.url == slow.url)
    (refused,) = (record for record in records if record.url == gone.url)
    assert (late.error, late.status, refused.error, refused.status) == ("timeout", 0, "unreachable", 0)
    assert late.latency >= 0.3


def test_an_answer_that_drips_for_ever_does_not_hold_up_the_end(clips: list[Clip]) -> None:
    with dripping() as url:
        (record,) = drive(plan(clips, [Target(url, timeout=0.5)], [0.0], 0.1, 0))
    assert record.error == "unanswered"  # each read was in time, the whole was not
    assert record.latency > 1.0


def test_forms_are_sent_as_they_say(clips: list[Clip]) -> None:
    forms = ["raw", "multipart:file", 'json:{"inputs": "$AUDIO"}', "binary:audio"]
    with endpoint() as seen:
        targets = [Target(seen.url, form, {"Authorization": "Bearer secret"}) for form in forms]
        shots = tuple(Shot(0.1 * turn, clips[0], target) for turn, target in enumerate(targets))
        drive(Plan(shots, 0.3))
    (length,) = (it[LENGTH] for it in seen.headers if LENGTH in it)
    kinds = [headers["Content-Type"].split(";")[0] for headers in seen.headers]
    bodies = dict(zip(kinds, seen.bodies, strict=True))  # on a busy machine they may come in another order
    binary = bodies.pop("application/octet-stream")
    assert bodies.keys() == {"audio/wav", "multipart/form-data", "application/json"}
    raw, multipart, text = bodies["audio/wav"], bodies["multipart/form-data"], bodies["application/json"]
    assert raw == b"audio 0"
    assert b'name="file"; filename="0.wav"' in multipart
    assert b"audio 0" in multipart
    assert base64.b64decode(json.loads(text)["inputs"]) == b"audio 0"
    (tensor,) = json.loads(binary[: int(length)])["inputs"]
    assert binary[int(length) :] == b"\7\0\0\0audio 0"
    assert (tensor["name"], tensor["datatype"]) == ("audio", "BYTES")
    assert tensor["parameters"] == {"binary_data_size": 11}
    assert {headers["Authorization"] for headers in seen.headers} == {"Bearer secret"}


def test_several_targets_are_loaded_at_once(clips: list[Clip]) -> None:
    with endpoint() as one, endpoint() as other:
        records = drive(plan(clips, [Target(one.url), Target(other.url)], [0.0] * 20, 0.1, 0))
    assert {record.url for record in records} == {one.url, other.url}
    assert len(one.bodies) + len(other.bodies) == 20


def test_enough_is_enough(clips: list[Clip]) -> None:
    got: list[Record] = []
    with endpoint() as seen:
        moments = [index * 0.02 for index in range(1000)]
        records = drive(plan(clips, [Target(seen.url)], moments, 20, 0), got.append, lambda: len(got) >= 10)
    assert 10 <= len(records) < 1000


def test_a_closed_loop_has_no_more_in_flight_than_callers(clips: list[Clip]) -> None:
    with endpoint(slowly(0.1)) as seen:  # type: ignore[arg-type]
        records = drive(plan(clips, [Target(seen.url)], [0.0] * 1000, 1.0, 0, callers=3))
    assert seen.connections == 3
    assert 15 <= len(records) <= 33  # 3 callers, ten turns of 100 ms at best
    assert all(record.lag == 0 and record.latency >= 0.1 for record in records)


def test_what_the_generator_cannot_do_is_one_line(clips: list[Clip], tmp_path: Path) -> None:
    missing = Clip("gone.wav", tmp_path / "gone.wav", 1.0, "audio/wav")
    with pytest.raises(LoadTestError, match=r"the load generator failed: .*gone\.wav"):
        drive(plan([missing], [Target("http://127.0.0.1:9/")], [0.0], 0.1, 0))
    with pytest.raises(LoadTestError, match="unknown form 'smoke'"):
        drive(plan(clips, [Target("http://127.0.0.1:9/", "smoke")], [0.0], 0.1, 0))
