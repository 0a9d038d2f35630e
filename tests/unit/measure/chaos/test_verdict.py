"""What an answer is worth, and that nothing but a right answer passes for one."""

from __future__ import annotations

import json

import pytest

from measure import ROOT
from measure.chaos.verdict import Verdict, error, judge
from measure.http import REFUSED, Reply

EXPECTED = {"anna": 0.9, "bernd": 0.1}
UNAVAILABLE = b'{"error": "try again in a moment", "code": "unavailable"}'


def reply(status: int, body: bytes = b"", failure: str = "") -> Reply:
    return Reply(0.0, 1.0, status, body, failure)


def ranking(**scores: float) -> bytes:
    return json.dumps([{"label": label, "score": score} for label, score in scores.items()]).encode()


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (reply(200, ranking(anna=0.9, bernd=0.1)), Verdict.RIGHT),
        (reply(200, ranking(anna=0.9005, bernd=0.0995)), Verdict.RIGHT),  # a batch moves scores a little
        (reply(200, ranking(anna=0.902, bernd=0.098)), Verdict.WRONG),
        (reply(200, ranking(bernd=0.9, anna=0.1)), Verdict.WRONG),
        (reply(200, ranking(anna=0.9)), Verdict.WRONG),
        (reply(200, b"[]"), Verdict.WRONG),
        (reply(200, b"Healthy"), Verdict.WRONG),
        (reply(503, UNAVAILABLE), Verdict.RETRYABLE),
        (reply(507, UNAVAILABLE), Verdict.RETRYABLE),
        (
            reply(500, b'{"code": 500, "type": "InternalServerException", "message": "Worker died."}'),
            Verdict.WRONG,
        ),
        (reply(503, b"upstream connect error"), Verdict.WRONG),
        (reply(422, UNAVAILABLE), Verdict.WRONG),  # nothing is wrong with the clip
        (reply(0, failure="timeout"), Verdict.LOST),
        (reply(0, failure="broken connection"), Verdict.LOST),
        (reply(0, failure=REFUSED), Verdict.LOST),
    ],
)
def test_the_verdict_on_an_answer(answer: Reply, verdict: Verdict) -> None:
    assert judge(answer, EXPECTED) is verdict


def test_a_refused_connection_is_honest_only_while_the_whole_server_is_down() -> None:
    assert judge(reply(0, failure=REFUSED), EXPECTED, down=True) is Verdict.RETRYABLE
    assert judge(reply(0, failure="broken connection"), EXPECTED, down=True) is Verdict.LOST


@pytest.mark.parametrize(
    "message",
    [
        "Traceback (most recent call last)",
        f"no such file {ROOT}/model_store/demo.mar",
        "in speaker_handler.py",
        "at java.base/java.lang.Thread.run",
        "two\nlines",
        "",
    ],
)
def test_an_error_that_shows_the_servers_inside_is_not_honest(message: str) -> None:
    assert error(json.dumps({"error": message, "code": "internal_error"}).encode()) is None


def test_an_error_has_exactly_our_shape() -> None:
    assert error(UNAVAILABLE) == ("unavailable", "try again in a moment")
    assert error(b'{"error": "b", "code": "a", "instance": 1}') == ("a", "b")
    assert error(b'{"error": "b", "code": "a", "detail": 1}') is None
    assert error(b'{"error": {"code": "a", "message": "b"}, "code": "a"}') is None
    assert error(b'{"error": "a"}') is None
    assert error(b"<html>") is None
