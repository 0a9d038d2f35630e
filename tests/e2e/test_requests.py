"""Odd but legal requests, over all that the port speaks: one answer in our words, one log line, the same worker."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

import grpc
import pytest

from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.torchserve.process import TorchServe
from tests.e2e.odd_requests import CALLS, CASES, Call, Case
from tests.e2e.raw import Answer, over_http1, over_http2

pytestmark = pytest.mark.e2e

JAVAS = re.compile(
    r"Exception|java|pytorch|netty|envoy|upstream|Parameter model_name|\bnull\b", re.IGNORECASE
)


@dataclass
class Sent:
    """All that was answered, and what was seen of the server meanwhile."""

    answers: dict[int, Answer]
    calls: dict[int, tuple[grpc.StatusCode, str]]
    workers: set[int]
    lines: list[dict[str, object]]


@pytest.fixture(scope="module")
def sent(stub_server: TorchServe) -> Iterator[Sent]:
    with Gateway(stub_server, GatewayOptions(ports.free(1)[0]), response_timeout=30) as gateway:
        gateway.start()
        found = Sent({}, {}, set(), [])
        began = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
        for index, case in enumerate(CASES):
            found.answers[index] = ask(gateway, case)
            found.workers |= set(stub_server.worker_pids())
        for index, call in enumerate(CALLS):
            found.calls[index] = make(gateway, call)
            found.workers |= set(stub_server.worker_pids())
        deadline = time.monotonic() + 600
        while len(found.lines) < len(CASES) + len(CALLS) and time.monotonic() < deadline:
            time.sleep(0.2)  # until Envoy has written its log
            found.lines = log_lines(gateway, began)
        time.sleep(1.5)  # until it would have written one too many
        found.lines = log_lines(gateway, began)
        yield found


def log_lines(gateway: Gateway, began: str) -> list[dict[str, object]]:
    """Those of requests since then: another gateway of this TorchServe writes there too, seconds late."""
    lines = [json.loads(line) for line in gateway.access_log.read_text().splitlines()]
    return [line for line in lines if line["time"] >= began[:-3]]


def ask(gateway: Gateway, case: Case) -> Answer:
    method, target = case.line.split(" ")
    headers = [
        (line.partition(": ")[0], line.partition(": ")[2]) for line in case.headers.split("\r\n") if line
    ]
    if case.version == "2":
        return over_http2(gateway, method, target, headers, case.body)
    framed = {"transfer-encoding", "content-length"} & {name for name, *_ in headers}
    return over_http1(
        gateway,
        f"{case.line} HTTP/{case.version}",
        [
            *([] if case.version == "1.0" else [("host", "any")]),
            *headers,
            *([] if framed or not case.body else [("content-length", str(len(case.body)))]),
        ],
        case.body,
    )


def make(gateway: Gateway, call: Call) -> tuple[grpc.StatusCode, str]:
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"{LOOPBACK}:{gateway.port}", options) as channel:
        method = channel.stream_unary(call.method)
        try:
            method(iter(call.messages), timeout=call.timeout, compression=call.coding, metadata=call.metadata)
        except grpc.RpcError as exc:
            return exc.code(), exc.details()
        return grpc.StatusCode.OK, ""


@pytest.mark.parametrize(("index", "case"), list(enumerate(CASES)), ids=lambda it: str(it)[:90])
def test_every_request_has_the_answer_that_it_deserves(sent: Sent, index: int, case: Case) -> None:
    answer = sent.answers[index]
    assert answer.status == case.status, answer
    if case.line.startswith("HEAD "):
        assert answer.body == b""
        return
    assert answer.headers["content-type"] == "application/json"
    content = json.loads(answer.body)
    if case.code is None:
        assert case.status == 200
        return
    assert (set(content), content["code"]) == ({"error", "code"}, case.code)
    assert content["error"]
    assert not JAVAS.search(content["error"])


@pytest.mark.parametrize(("index", "call"), list(enumerate(CALLS)), ids=lambda it: str(it)[:60])
def test_every_call_has_a_status_of_grpcs_and_our_words(sent: Sent, index: int, call: Call) -> None:
    status, details = sent.calls[index]
    assert status is call.status, details
    if call.code is None:
        return
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:  # said by the caller's own library
        return
    content = json.loads(details)
    assert (set(content), content["code"]) == ({"error", "code"}, call.code)
    assert not JAVAS.search(content["error"])


def test_all_of_them_left_the_worker_as_it_was(sent: Sent, stub_server: TorchServe) -> None:
    assert len(sent.workers) == 2  # one of each model
    assert set(stub_server.worker_pids()) == sent.workers


def test_each_has_one_line_in_the_log(sent: Sent) -> None:
    assert len(sent.lines) == len(CASES) + len(CALLS)


def test_no_line_is_longer_than_its_bounds(sent: Sent) -> None:
    assert max(len(json.dumps(line)) for line in sent.lines) < 800
    assert max(len(str(line["id"])) for line in sent.lines) == 64
    assert max(len(str(line["path"])) for line in sent.lines) == 256


def test_an_answers_request_id_is_cut_as_the_logs(sent: Sent) -> None:
    index = next(index for index, case in enumerate(CASES) if case.headers.startswith("x-request-id"))
    assert sent.answers[index].headers["x-request-id"] == "a" * 64


def test_what_is_not_for_torchserve_does_not_get_there(sent: Sent) -> None:
    index = next(index for index, case in enumerate(CASES) if case.headers.startswith("te: trailers\r\n"))
    (answer,) = json.loads(sent.answers[index].body)
    assert set(answer["headers"]) == {
        "host", "content-length", "content-type", "explain", "url_path", "te",
        "x-request-id", "x-forwarded-proto", "x-received", "x-answer-within", "x-envoy-attempt-count",
    }  # fmt: skip


def test_http_1_0_is_answered_in_kind(sent: Sent) -> None:
    index = next(index for index, case in enumerate(CASES) if case.version == "1.0")
    assert sent.answers[index].version == 10
