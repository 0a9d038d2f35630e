"""Callers that hang up while their requests wait: no worker decodes or encodes for them, and nobody else notices."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests
from h2.connection import H2Connection
from h2.events import PingAckReceived

from bundle.samples import samples
from measure.over_grpc import Api, OpenInference, TorchServes, channel
from serving.gateway.envoy import Gateway
from serving.host import logs
from serving.host.polling import wait_until
from serving.host.ports import LOOPBACK
from serving.metrics.served import Served
from serving.model_server import ModelServer
from serving.torchserve.process import TorchServe
from serving.triton.process import Triton

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

CLIP = samples()[0].path.read_bytes()
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
WAIT_SECONDS = 600.0
Hang = Callable[[Gateway, Callable[[], None]], None]


def over_http(gateway: Gateway, sent: Callable[[], None], reset: bool = False) -> None:
    head = (
        "POST /predictions/demo HTTP/1.1\r\nHost: any\r\nX-Request-Id: of-many\r\n"
        f"Content-Length: {len(CLIP)}\r\n\r\n"
    )
    with socket.create_connection((LOOPBACK, gateway.port), WAIT_SECONDS) as caller:
        caller.sendall(head.encode() + CLIP)
        sent()
        if reset:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def by_reset(gateway: Gateway, sent: Callable[[], None]) -> None:
    over_http(gateway, sent, reset=True)


def by_model_infer(gateway: Gateway, sent: Callable[[], None], api: Api | None = None) -> None:
    api = api or OpenInference()
    with channel(f"{LOOPBACK}:{gateway.port}") as opened:
        call = opened.unary_unary(api.method).future(api.request("demo", "", CLIP))
        sent()
        call.cancel()


def by_predictions(gateway: Gateway, sent: Callable[[], None]) -> None:
    by_model_infer(gateway, sent, TorchServes())


@contextlib.contextmanager
def stopped(server: ModelServer) -> Iterator[None]:
    """For the block, the workers do nothing: what they are sent waits."""
    workers = [psutil.Process(pid) for pid in server.worker_pids()]
    for worker in workers:
        worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)


def counted(server: ModelServer) -> tuple[float, float, float]:
    """Requests answered, requests cancelled, and seconds of audio decoded."""
    (version,) = server.management.versions("demo")
    samples = [each for family in server.metrics(Served({"demo": [version]})) for each in family.samples]
    by_code = {
        each.labels["code"]: each.value for each in samples if each.name == "speaker_id_requests_total"
    }
    seconds = sum(each.value for each in samples if each.name == "speaker_id_batch_audio_seconds_sum")
    return by_code.get("ok", 0), by_code.get("cancelled", 0), seconds


def in_flight(gateway: Gateway) -> int:
    """Requests that the model server has."""
    found = re.findall(r"upstream_rq_active: (\d+)", gateway.stats("/stats?filter=cluster.model_server"))
    return sum(map(int, found))


def test_the_file_of_cancelled_requests_is_emptied_under_the_gateway_and_goes_on(gateway: Gateway) -> None:
    with gateway.cancelled.open("ab") as file:
        file.write(b"x" * logs.LARGEST_CANCELLED + b"\n")
    gateway.rotate_logs()
    assert gateway.cancelled.stat().st_size == 0


def test_who_was_refused_or_reset_at_once_names_no_request(gateway: Gateway) -> None:
    """Envoy keeps all but the first of several that come at once for later: no filter sees one that ends before."""
    before = gateway.cancelled.read_bytes()
    connection = H2Connection()
    connection.initiate_connection()
    asked = [(":method", "POST"), (":path", "/predictions/demo"), (":scheme", "http"), (":authority", "any")]
    for stream in (1, 3, 5, 7):
        connection.send_headers(stream, [*asked, ("x-received", "1.000000000 1 1")])
        connection.reset_stream(stream)
    connection.ping(b"all read")
    with socket.create_connection((LOOPBACK, gateway.port), WAIT_SECONDS) as caller:
        caller.sendall(connection.data_to_send())
        while not any(isinstance(e, PingAckReceived) for e in connection.receive_data(caller.recv(65536))):
            pass
    ended = re.compile(rb'"flags":"DR"')
    assert wait_until(lambda: len(ended.findall(gateway.access_log.read_bytes()[-4096:])) >= 3, WAIT_SECONDS)
    assert gateway.cancelled.read_bytes() == before


@pytest.mark.parametrize("hang_up", [over_http, by_reset, by_model_infer, by_predictions])
def test_a_request_whose_caller_hangs_up_in_the_queue_costs_nothing(
    gateway: Gateway, server: ModelServer, hang_up: Hang
) -> None:
    if hang_up is by_predictions and server.name != TorchServe.name:
        pytest.skip("TorchServe's own gRPC")

    def ask() -> requests.Response:
        headers = {"X-Request-Id": "of-many"}  # callers choose ids, and those of others
        return requests.post(f"{gateway.url}/predictions/demo", CLIP, headers=headers, timeout=WAIT_SECONDS)

    def wait_for(there: int) -> None:
        assert wait_until(lambda: in_flight(gateway) == there, WAIT_SECONDS)

    seconds = float(ask().headers["X-Audio-Seconds"])
    assert wait_until(lambda: counted(server)[0] > 0, WAIT_SECONDS)
    known = len(gateway.cancelled.read_bytes())
    answered, cancelled, decoded = counted(server)
    with ThreadPoolExecutor(1) as pool:
        with stopped(server):
            stays = pool.submit(ask)
            wait_for(1)
            for _ in range(3):
                hang_up(gateway, lambda: wait_for(2))
                wait_for(1)
            assert wait_until(lambda: gateway.cancelled.read_bytes()[known:].count(b"\n") == 3, WAIT_SECONDS)
        assert stays.result().status_code == 200
    ask()  # behind all of them in the queue
    assert wait_until(lambda: counted(server)[0] == answered + 2, WAIT_SECONDS)
    # of calls over its own gRPC, Triton drops from its queue those that are cancelled, and TorchServe those that are
    # not in its queue yet
    left = {0} if hang_up is by_model_infer and server.name == Triton.name else {3}
    assert counted(server)[1] - cancelled in ({0, 1, 2, 3} if hang_up is by_predictions else left)
    assert counted(server)[2] - decoded == pytest.approx(2 * seconds, abs=0.01)
