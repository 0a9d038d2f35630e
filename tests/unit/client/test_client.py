"""The client's programming interface against a server that fails in every way."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from urllib3 import HTTPResponse
from urllib3.util.retry import RequestHistory

from clients import identify
from clients.identify import BadAnswer, Client, Label, Patience, Refused, TimedOut, Unreachable


@pytest.fixture
def client(server: Any) -> Iterator[Client]:
    with Client(server.url, "sid", retries=2, timeout=(2.0, 5.0)) as connected:
        yield connected


def test_it_sends_the_bytes_and_gives_the_labels_best_first(client: Client, server: Any) -> None:
    answer = client.identify(b"audio")
    assert [(each.label, each.score) for each in answer.labels] == [("ann", 0.9), ("bob", 0.1)]
    assert (answer.attempts, answer.request_id, json.loads(answer.body)) == (1, "r1", server.good)
    path, headers, body = server.requests[0]
    assert (path, body) == ("/predictions/sid", b"audio")
    assert headers["content-type"] == "application/octet-stream"
    assert not {"x-top-k", "x-function-to-apply", "authorization"} & headers.keys()


HEADS = {
    "action": [{"label": "on", "score": 0.75}, {"label": "off", "score": 0.25}],
    "object": [{"label": "lamp", "score": 1.0}],
}


def test_a_model_of_several_heads_gives_each_heads_labels(client: Client, server: Any) -> None:
    server.will(body=HEADS)
    assert client.identify(b"clip").labels == [
        Label("on", 0.75, "action"),
        Label("off", 0.25, "action"),
        Label("lamp", 1.0, "object"),
    ]


def test_options_version_and_token_travel_with_the_request(server: Any) -> None:
    with Client(server.url + "/", "a b", version="1.0", token="t0k") as client:
        client.identify(b"audio", top_k=2, function_to_apply="sigmoid", heads="action,object")
    path, headers, _ = server.requests[0]
    assert path == "/predictions/a%20b/1.0"
    assert (headers["x-top-k"], headers["x-function-to-apply"]) == ("2", "sigmoid")
    assert headers["x-heads"] == "action,object"
    assert headers["authorization"] == "Bearer t0k"


@pytest.mark.parametrize(("name", "header"), [("fpir", "x-fpir"), ("min_score", "x-min-score")])
def test_how_strictly_a_clip_is_unknown_travels_too(server: Any, name: str, header: str) -> None:
    with Client(server.url) as client:
        client.identify(b"audio", **{name: 0.05})  # type: ignore[arg-type]
    _, headers, _ = server.requests[0]
    assert headers[header] == "0.05"
    assert len({"x-fpir", "x-min-score"} & headers.keys()) == 1


@pytest.mark.parametrize("status", [429, 503, 507])
def test_a_busy_server_is_asked_again(client: Client, server: Any, status: int) -> None:
    server.will_refuse(status, "overloaded", times=2)
    assert client.identify(b"audio").attempts == 3
    assert [body for _, _, body in server.requests] == [b"audio"] * 3


def test_a_server_that_stays_busy_is_quoted_in_the_end(client: Client, server: Any) -> None:
    server.will_refuse(503, "overloaded", times=9)
    with pytest.raises(Refused, match=r"because of overloaded \(503 overloaded\)") as caught:
        client.identify(b"audio")
    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    assert len(server.requests) == 3


def test_it_waits_as_long_as_the_server_asks(client: Client, server: Any) -> None:
    server.will_refuse(503, "overloaded", **{"Retry-After": "1"})
    assert client.identify(b"audio").seconds >= 1.0


def test_it_does_not_wait_for_ever_because_the_server_says_so(
    client: Client, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identify, "LONGEST_WAIT_SECONDS", 0.1)
    server.will_refuse(503, "overloaded", **{"Retry-After": "86400"})
    assert client.identify(b"audio").seconds < 600  # of the day that it was told to wait


@pytest.mark.parametrize("asked", ["soon", "", "-3"])
def test_a_wait_that_makes_no_sense_is_left_to_the_back_off(client: Client, server: Any, asked: str) -> None:
    server.will_refuse(503, "overloaded", **{"Retry-After": asked})
    assert client.identify(b"audio").attempts == 2


def test_waits_double_up_to_a_limit_and_no_two_callers_wait_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify, "BACKOFF_SECONDS", 0.5)
    for failures, longest in [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (5000, 30.0)]:
        patience = Patience(history=(RequestHistory("POST", "/", None, 503, None),) * failures)
        waits = [patience.get_backoff_time() for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
        assert len(set(waits)) > 40


def test_what_the_server_asks_for_is_the_least_and_callers_come_back_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identify, "BACKOFF_SECONDS", 0.5)
    patience = Patience(history=(RequestHistory("POST", "/", None, 503, None),))
    response = HTTPResponse(headers={"Retry-After": "2"})
    waits = [patience.get_retry_after(response) for _ in range(50)]
    assert all(wait is not None and 2.25 <= wait <= 2.5 for wait in waits)
    assert len(set(waits)) > 40


@pytest.mark.parametrize("status", [400, 404, 413, 415, 422, 500])
def test_a_refusal_that_will_not_change_is_not_asked_again(client: Client, server: Any, status: int) -> None:
    server.will_refuse(status, "some_code")
    with pytest.raises(Refused) as caught:
        client.identify(b"audio")
    assert (caught.value.status, caught.value.code) == (status, "some_code")
    assert len(server.requests) == 1


def test_a_connection_that_breaks_is_tried_again(client: Client, server: Any) -> None:
    server.will(2, reset=True)
    assert client.identify(b"audio").attempts == 3


def test_a_connection_that_always_breaks_is_unreachable(client: Client, server: Any) -> None:
    server.will(9, reset=True)
    with pytest.raises(Unreachable, match="cannot reach http://127"):
        client.identify(b"audio")


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", retries=1) as client,
        pytest.raises(Unreachable, match="refused"),
    ):
        client.identify(b"audio")


@pytest.mark.parametrize(
    "slow", [{"delay": 1.0}, {"drip": 1.0}, {"drip": 0.05}], ids=["to begin", "to go on", "to end"]
)
def test_a_slow_answer_is_given_up_and_not_asked_for_twice(server: Any, slow: dict[str, float]) -> None:
    server.will(**slow)
    with (
        Client(server.url, timeout=(2.0, 0.2)) as client,
        pytest.raises(TimedOut, match=r"within 0\.2 s"),
    ):
        client.identify(b"audio")
    assert len(server.requests) == 1


def test_an_answer_that_breaks_off_is_unreachable(client: Client, server: Any) -> None:
    server.will(cut=10)
    with pytest.raises(Unreachable, match="cannot reach"):
        client.identify(b"audio")


def test_what_is_no_http_at_all_is_unreachable(client: Client, server: Any) -> None:
    server.will(9, raw=b"\x00SSH-2.0 garbage\r\n\r\n")
    with pytest.raises(Unreachable, match="cannot reach") as caught:
        client.identify(b"audio")
    assert "\n" not in str(caught.value)


def test_a_body_in_no_known_coding_is_a_bad_answer(client: Client, server: Any) -> None:
    server.will(body=b"not gzip", headers={"Content-Encoding": "gzip"})
    with pytest.raises(BadAnswer, match="does not decode"):
        client.identify(b"audio")


def test_an_answer_without_end_is_not_read_to_its_end(
    client: Client, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identify, "LARGEST_ANSWER", 1 << 20)
    server.will(body=b" " * (2 << 20))
    with pytest.raises(BadAnswer, match="more than 1 MiB"):
        client.identify(b"audio")


def test_after_an_answer_the_connection_is_used_again(client: Client, server: Any) -> None:
    for _ in range(3):
        client.identify(b"audio")
    assert len(set(server.ports)) == 1


def test_the_models_version_and_the_clips_length_are_told(client: Client, server: Any) -> None:
    server.will(headers={"X-Model-Version": "2.1", "X-Audio-Seconds": "3.250"})
    answer = client.identify(b"audio")
    assert (answer.model_version, answer.audio_seconds) == ("2.1", 3.25)


@pytest.mark.parametrize(
    "body", [b"<html>welcome</html>", b"", {"status": "ok"}, [{"label": "ann"}], [1], None]
)
def test_an_answer_without_labels_comes_from_another_server(client: Client, server: Any, body: Any) -> None:
    server.will(body=body)
    with pytest.raises(BadAnswer, match="without a list of labels"):
        client.identify(b"audio")


def test_a_redirect_is_not_followed_with_somebodys_voice(client: Client, server: Any) -> None:
    server.will(status=302, body=b"", headers={"Location": "http://127.0.0.1:1/"})
    with pytest.raises(BadAnswer):
        client.identify(b"audio")
    assert len(server.requests) == 1


def test_an_error_that_is_not_json_is_told_by_its_status(client: Client, server: Any) -> None:
    server.will(status=502, body=b"<h1>Bad Gateway</h1>")
    with pytest.raises(Refused, match="502 http_error"):
        client.identify(b"audio")


def test_an_address_that_is_none_is_one_line() -> None:
    with Client("htp:/nonsense") as client, pytest.raises(BadAnswer) as caught:
        client.identify(b"audio")
    assert "\n" not in str(caught.value)


def test_loopback_is_reached_past_a_proxy_from_the_environment(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert client.identify(b"audio").labels[0].label == "ann"


def test_threads_have_connections_of_their_own(client: Client, server: Any) -> None:
    server.will(4, delay=0.2)
    threads = [threading.Thread(target=client.identify, args=(b"audio",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.most_in_flight == 4


def test_one_call_is_enough_for_one_clip(server: Any, tmp_path: Path) -> None:
    clip = tmp_path / "a.wav"
    clip.write_bytes(b"audio")
    assert identify.identify(clip, top_k=1, url=server.url, model="sid").labels[0].label == "ann"
    assert server.requests[0][1]["x-top-k"] == "1"
