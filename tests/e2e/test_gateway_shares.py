"""Each caller's share at the gateway: requests and seconds of audio, in front of a real model server."""

from __future__ import annotations

import io
import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import soundfile

from measure.over_grpc import APIS
from serving.gateway import shares, tokens
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.polling import wait_until
from serving.host.ports import LOOPBACK
from serving.metrics import gateway as envoy
from serving.model_server import ModelServer
from tests.e2e.started import CLIPS

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

CLIP = CLIPS[0].read_bytes()
SLOW = 0.001  # a second: nothing comes back while a test runs


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shares é") / "tokens"


@pytest.fixture(scope="module")
def guarded(server: ModelServer, file: Path) -> Iterator[Gateway]:
    """A gateway that asks for a token, with nobody limited yet."""
    write(file, token("nobody"))
    options = GatewayOptions(ports.free(1)[0], tokens=tokens.read(file))
    with Gateway(server, options, response_timeout=120) as running:
        running.start()
        yield running


def token(name: str) -> str:
    return f"token-of-{name}-0123456789"


def write(file: Path, *lines: str) -> None:
    draft = file.with_suffix(".new")
    draft.touch(0o600)
    draft.write_text("\n".join(lines) + "\n")
    draft.replace(file)


def limit(file: Path, name: str, share: str) -> None:
    write(file, f"{token(name)} name={name} {share}", token("nobody"))


def ask(
    gateway: Gateway, name: str | None, body: bytes = CLIP, path: str = "/predictions/demo"
) -> requests.Response:
    headers = {"authorization": f"Bearer {token(name)}"} if name else {}
    headers["content-type"] = "application/octet-stream"
    return requests.post(gateway.url + path, body, headers=headers, timeout=120)


def silence(seconds: float, form: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(int(seconds * 16000), np.int16), 16000, format=form)
    return buffer.getvalue()


def counted(gateway: Gateway, name: str) -> dict[str, float]:
    """What the metrics say of a caller."""
    found = {}
    for family in envoy.collect(gateway.stats(envoy.PATH)):
        for sample in family.samples:
            if sample.labels.get("caller") == name:
                found[sample.labels.get("outcome", "seconds")] = sample.value
    return found


def test_over_its_share_of_requests_a_caller_gets_429_in_every_form(guarded: Gateway, file: Path) -> None:
    limit(file, "one", f"requests={SLOW} requests_burst=1")
    let_in = ask(guarded, "one")
    assert let_in.status_code == 200
    assert let_in.headers["ratelimit-policy"] == '"requests";q=1;w=1000'
    assert let_in.headers["ratelimit"].startswith('"requests";r=0;t=')
    for path in ("/predictions/demo", "/v1/models/demo:predict", "/v2/models/demo/infer", "/invocations"):
        refused = ask(guarded, "one", path=path)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited"), path
        assert "this token may send 0.001 requests a second, and 1 at once" in refused.json()["error"]
        seconds = int(refused.headers["retry-after"])
        assert 900 < seconds <= 1000
        assert refused.headers["ratelimit"] == f'"requests";r=0;t={seconds}'
        assert refused.headers["content-type"] == "application/json"
    assert ask(guarded, "nobody").status_code == 200
    assert counted(guarded, "one") == {
        "admitted": 1,
        "over_requests": 4,
        "seconds": float(let_in.headers["x-audio-seconds"]),
    }


@pytest.mark.parametrize("api", APIS.values(), ids=APIS)
def test_a_call_over_its_share_is_told_by_a_status_of_grpc(
    guarded: Gateway, server: ModelServer, file: Path, api: object
) -> None:
    if not (api is APIS["triton"] or server.name == "torchserve"):
        pytest.skip("Triton has one service over gRPC")
    limit(file, type(api).__name__, f"requests={SLOW} requests_burst=1 audio=100")
    sent = [("authorization", f"Bearer {token(type(api).__name__)}")]
    with grpc.insecure_channel(f"127.0.0.1:{guarded.port}") as channel:
        call = channel.unary_unary(api.method)
        message = api.request("demo", "", CLIP)
        answered, _ = call.with_call(message, metadata=sent, timeout=120)
        assert json.loads(api.answer(answered))
        with pytest.raises(grpc.RpcError) as caught:
            call(message, metadata=sent, timeout=120)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert json.loads(caught.value.details())["code"] == "rate_limited"
    told = dict(caught.value.initial_metadata() or ()) | dict(caught.value.trailing_metadata() or ())
    assert 900 < int(told["retry-after"]) <= 1000
    assert told["ratelimit"].startswith('"requests";r=0;t=')
    assert counted(guarded, type(api).__name__)["seconds"] > 1


def test_audio_is_charged_as_it_was_decoded_and_what_is_owed_is_paid_off_first(
    guarded: Gateway, file: Path
) -> None:
    """30 s of FLAC are a few bytes: what they hold is known once they have been decoded."""
    body = silence(30, "FLAC")
    assert len(body) < 32000  # bytes of one second of PCM
    limit(file, "flac", "audio=0.1 audio_burst=10")
    let_in = ask(guarded, "flac", body)
    assert (let_in.status_code, let_in.headers["x-audio-seconds"]) == (200, "30.000")
    assert let_in.headers["ratelimit-policy"] == '"audio-seconds";q=10;qu="audio-seconds";w=100'
    refused = ask(guarded, "flac", silence(0.5, "WAV"))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert "0.1 seconds of audio a second, and 10 at once" in refused.json()["error"]
    assert (
        190 <= int(refused.headers["retry-after"]) <= 200
    )  # 20 s are owed, and a tenth of a second is paid a second
    assert counted(guarded, "flac") == {"admitted": 1, "over_audio": 1, "seconds": 30}


def test_the_access_log_names_the_caller_and_the_limit_and_no_token(guarded: Gateway, file: Path) -> None:
    limit(file, "logged", f"requests={SLOW} requests_burst=1")
    ids = [ask(guarded, "logged").headers["x-request-id"] for _ in range(2)]
    lines: list[dict[str, object]] = []

    def logged() -> bool:
        read = map(json.loads, guarded.access_log.read_text().splitlines())
        lines[:] = [line for line in read if line["id"] in ids]
        return len(lines) == len(ids)

    assert wait_until(logged, 10.0, 0.05)
    assert [(line["status"], line["caller"], line["over"]) for line in lines] == [
        (200, "logged", None),
        (429, "logged", "requests"),
    ]
    assert token("logged") not in guarded.access_log.read_text()


def test_a_large_body_that_is_refused_before_it_is_received_gets_its_answer(
    guarded: Gateway, file: Path
) -> None:
    limit(file, "large", f"requests={SLOW} requests_burst=1")
    assert ask(guarded, "large").status_code == 200
    assert ask(guarded, "large", bytes(30 << 20)).json()["code"] == "rate_limited"


def test_what_a_refused_body_was_charged_with_is_given_back(guarded: Gateway, file: Path) -> None:
    limit(file, "notes", f"audio={SLOW} audio_burst=10")
    for _ in range(3):
        assert ask(guarded, "notes", b"no audio " * 30000).status_code == 415  # as many bytes as 8 s of PCM
    assert ask(guarded, "notes", silence(0.5, "WAV")).status_code == 200
    assert counted(guarded, "notes")["seconds"] == 0.5


def test_a_recording_of_unknown_length_is_charged_until_it_is_answered(guarded: Gateway, file: Path) -> None:
    """Who hangs up before the answer has had the work done."""
    limit(file, "chunked", "audio=0.1 audio_burst=10")
    head = (
        "POST /predictions/demo HTTP/1.1\r\nHost: any\r\nX-Windows: 3\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: Bearer {token('chunked')}\r\n\r\n4\r\nRIFF\r\n"
    )
    with socket.create_connection((LOOPBACK, guarded.port), 30) as caller:
        caller.sendall(head.encode())
        assert wait_until(lambda: counted(guarded, "chunked").get("admitted"), 30)
    assert ask(guarded, "chunked").status_code == 429


def test_both_threads_of_the_gateway_count_in_one_bucket(guarded: Gateway, file: Path) -> None:
    limit(file, "many", f"requests={SLOW} requests_burst=7")
    body = silence(0.5, "WAV")
    with ThreadPoolExecutor(16) as pool:
        got = Counter(pool.map(lambda _: ask(guarded, "many", body).status_code, range(48)))
    assert got == {200: 7, 429: 41}


def test_tokens_of_one_name_are_one_caller_and_a_changed_share_holds_at_once(
    guarded: Gateway, file: Path
) -> None:
    share = f"requests={SLOW} requests_burst=1"
    write(
        file,
        f"* {share}",
        f"{token('old')} name=both",
        f"{token('new')} name=both",
        f"{token('third')} name=3",
    )
    assert [ask(guarded, name).status_code for name in ("old", "new", "third")] == [200, 429, 200]
    write(file, f"* {share}", f"{token('new')} name=both requests=unlimited")
    assert ask(guarded, "new").status_code == 200
    assert "ratelimit" not in ask(guarded, "new").headers


@pytest.mark.parametrize(
    "words",
    [
        "requests=0",
        "requests",
        "requests=1 requests=2",
        "audio_burst=3",
        "name=a.b",
        "name=other",
        "rate=1",
        "audio=1e3",
    ],
)
def test_a_line_that_is_wrong_has_no_token(guarded: Gateway, file: Path, words: str) -> None:
    write(file, f"{token('wrong')} {words}", token("nobody"))
    assert [ask(guarded, name).status_code for name in ("wrong", "nobody")] == [401, 200]
    assert "line 1" in tokens.fault(file)


def test_metrics_tell_a_hundred_names_apart_and_count_the_others_together(
    guarded: Gateway, file: Path
) -> None:
    named = [f"{token(f'series-{number}')} name=series-{number}" for number in range(shares.MOST_NAMES + 2)]
    write(file, *named, token("nobody"))
    first, *_, before, last = (f"series-{number}" for number in range(len(named)))
    nobody = counted(guarded, "unnamed").get("admitted", 0)
    assert [ask(guarded, name).status_code for name in (first, before, last, "nobody")] == [200] * 4
    assert [counted(guarded, name).get("admitted") for name in (first, before, last)] == [1, None, None]
    assert (counted(guarded, "other")["admitted"], counted(guarded, "unnamed")["admitted"]) == (2, nobody + 1)


def test_health_and_metadata_cost_nothing(guarded: Gateway, file: Path) -> None:
    limit(file, "asks", f"requests={SLOW} requests_burst=1")
    sent = {"authorization": f"Bearer {token('asks')}"}
    for path in ("/v2/models/demo", "/v2/health/ready", "/v1/models"):
        assert requests.get(guarded.url + path, headers=sent, timeout=120).status_code == 200
    assert ask(guarded, "asks", path="/nothing").status_code == 404
    assert ask(guarded, "asks").status_code == 200


def test_without_tokens_every_address_has_a_share(server: ModelServer) -> None:
    share = shares.read(f"requests={SLOW} requests_burst=2")
    with Gateway(server, GatewayOptions(ports.free(1)[0], share=share), response_timeout=120) as running:
        running.start()
        answers = [ask(running, None) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert "this address may send" in answers[-1].json()["error"]
        with requests.Session() as other:
            other.mount("http://", _From("127.0.0.9"))
            assert other.post(f"{running.url}/predictions/demo", CLIP, timeout=120).status_code == 200
        assert counted(running, "address")["admitted"] == 3


class _From(requests.adapters.HTTPAdapter):
    """Connects from another address of this machine."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args: object, **named: object) -> None:
        super().init_poolmanager(*args, **named, source_address=(self.address, 0))
