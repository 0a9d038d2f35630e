"""`make serve` mends what does not answer: whatever was broken, requests are answered again, by the same gateway."""

from __future__ import annotations

import contextlib
import json
import os
import signal

import grpc
import psutil
import pytest
import requests

from serving.host.ports import LOOPBACK
from tests.e2e.started import Serve, StartServe

pytestmark = pytest.mark.e2e

STREAM = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions2"
MESSAGE = b"\x0a\x04stub\x1a\x0b\x0a\x04data\x12\x03abc\x22\x03seq"


@pytest.fixture
def served(serve: StartServe) -> Serve:
    return serve()


def ready(served: Serve) -> bool:
    answer = requests.get(f"http://{LOOPBACK}:{served.port}/v2/health/ready", timeout=600)
    return answer.status_code == 200


def worker(served: Serve) -> int:
    pid: int = json.loads(served.ask(b"abc").content)[0]["pid"]
    return pid


def mended(served: Serve, said: str) -> None:
    """Not ready, then mended by what is said, then ready, and the gateway is the one that it was."""
    before = served.state()
    served.wait_for(lambda: not ready(served))
    served.wait_for(lambda: said in served.said)
    served.wait_for(lambda: ready(served))
    assert served.ask(b"abc").status_code == 200
    after = served.state()
    assert before
    assert after
    assert before.gateway == after.gateway


def test_a_stopped_worker_gives_way_to_another(served: Serve) -> None:
    pid = worker(served)
    os.kill(pid, signal.SIGSTOP)
    mended(served, f"stub: 0 of 1 workers ready: ended {pid}")
    assert worker(served) != pid


def test_a_worker_whose_thread_in_java_has_ended_gets_another(served: Serve) -> None:
    found = served.state()
    assert found
    pid = worker(served)
    with grpc.insecure_channel(found.grpc, [("grpc.enable_http_proxy", 0)]) as channel:
        stream = channel.stream_stream(STREAM)
        for _ in range(60):  # one of two or three does
            with contextlib.suppress(grpc.RpcError):
                list(stream(iter([MESSAGE]), timeout=30))
            with contextlib.suppress(psutil.TimeoutExpired):
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended, and was replaced
                    psutil.Process(pid).wait(5)
                break
    mended(served, "told to restart its workers")


def test_a_torchserve_that_hangs_is_started_again(served: Serve) -> None:
    (java,) = [
        process
        for process in psutil.Process(served.process.pid).children(recursive=True)
        if "org.pytorch.serve.ModelServer" in process.cmdline()
    ]
    java.suspend()
    mended(served, "TorchServe has not answered for 30 s: restarted")
    assert not java.is_running()
