"""The demo model on a real Triton: ragged batches form, a bad clip fails alone, a worker that ends is replaced.

One file, though long: all its tests share one Triton, and the files of a run are shared out whole among processes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from speaker_id.activity import batch_of

from bundle import BundleError, archive, sources
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.metrics.served import Served
from serving.triton import setup
from serving.triton.installation import FOLDER
from serving.triton.process import Triton
from tests.doubles.checkpoints import write_heads
from tests.e2e.clients import installed
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
CLIPS = [path.read_bytes() for path in sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))]
RATE = 16_000
BATCH = 8
LENGTHS = [RATE // 2 + 997 * number for number in range(4 * BATCH)]  # samples, no two alike
NEAR = 2e-5


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    """Triton with the demo model, which waits for a batch to fill, and one of three heads."""
    try:
        setup.set_up(FOLDER)
    except BundleError as exc:
        pytest.skip(f"no Triton: {exc}")
    folder = tmp_path_factory.mktemp("triton")
    spec = sources.resolve("demo", root=ROOT / "models")
    settings = spec.torchserve.model_copy(update={"batchSize": BATCH, "maxBatchDelay": 200})
    archive.build(spec.model_copy(update={"torchserve": settings}), folder / "store")
    heads = sources.resolve(str(write_heads(folder / "several")))
    archive.build(heads, folder / "store", checkpoints=folder / "checkpoints")
    with Triton(folder / "store", ["demo", "several"], folder / "run") as running:
        running.start()
        running.wait_ready()
        yield running


def infer(
    server: Triton,
    name: str,
    datatype: str,
    data: bytes,
    shape: list[int],
    model: str = "demo",
    **more: Any,
) -> requests.Response:
    """One request of Triton's own protocol with a binary tensor."""
    tensor = {
        "name": name,
        "datatype": datatype,
        "shape": shape,
        "parameters": {"binary_data_size": len(data)},
    }
    head = json.dumps({"inputs": [tensor], **more}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return requests.post(f"{server.url}/v2/models/{model}/infer", head + data, headers=headers, timeout=600)


def waveform(server: Triton, samples: np.ndarray[Any, Any], **parameters: Any) -> requests.Response:
    parameters = {"sampling_rate": RATE, **parameters}
    shape = [1, len(samples)]
    return infer(server, "waveform", "FP32", samples.tobytes(), shape, parameters=parameters)


def audio(server: Triton, clip: bytes, **more: Any) -> requests.Response:
    return infer(server, "audio", "BYTES", len(clip).to_bytes(4, "little") + clip, [1, 1], **more)


def outputs(answer: requests.Response) -> dict[str, list[Any]]:
    assert answer.status_code == 200, answer.text
    return {each["name"]: each["data"] for each in answer.json()["outputs"]}


def together(calls: list[Callable[[], requests.Response]]) -> list[requests.Response]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(), calls))


def counted(server: Triton) -> tuple[float, float]:
    """Requests that were inferred until now, and batches."""
    samples = [
        sample
        for family in text_string_to_metric_families(server.management.scraped())
        for sample in family.samples
        if sample.labels.get("model") == "demo"
    ]
    totals = [
        sum(sample.value for sample in samples if sample.name.removesuffix("_total") == name)
        for name in ("nv_inference_count", "nv_inference_exec_count")
    ]
    return totals[0], totals[1]


def test_clips_of_any_lengths_are_one_batch_and_each_gets_the_answer_that_it_gets_alone(
    triton: Triton,
) -> None:
    generator = np.random.default_rng(0)
    clips = [generator.standard_normal(length).astype(np.float32) * 0.1 for length in LENGTHS]
    alone = [outputs(waveform(triton, clip))["scores"] for clip in clips[::8]]
    requests_before, batches_before = counted(triton)
    answers = together([lambda clip=clip: waveform(triton, clip) for clip in clips])
    requests_after, batches_after = counted(triton)
    assert (requests_after - requests_before) / (batches_after - batches_before) >= 4
    for answer, expected in zip(answers[::8], alone, strict=True):
        assert np.abs(np.array(outputs(answer)["scores"]) - expected).max() <= NEAR


def test_a_bad_clip_of_a_batch_fails_alone(triton: Triton) -> None:
    _, before = counted(triton)
    good, bad, short = together(
        [lambda: audio(triton, CLIPS[0]), lambda: audio(triton, b"no audio"), lambda: audio(triton, CLIPS[1])]
    )
    assert counted(triton)[1] - before == 1, "no batch formed"
    assert (good.status_code, short.status_code, bad.status_code) == (200, 200, 400)
    assert bad.json()["error"].startswith("unsupported_media[0]: ")


def test_the_gateways_form_and_tensors_give_one_answer(triton: Triton) -> None:
    answer = triton.management.answer("demo", None, CLIPS[0], 60.0)
    ranking = json.loads(answer.body)
    named = outputs(audio(triton, CLIPS[0]))
    assert answer.headers["x-model-version"] == "2.0"
    assert [entry["label"] for entry in ranking] == named["label"]
    assert np.allclose([entry["score"] for entry in ranking], named["score"], atol=NEAR)


def test_heads_that_share_a_pass_are_outputs_by_name_and_chosen_by_a_parameter(triton: Triton) -> None:
    def several(parameters: dict[str, Any], **more: Any) -> dict[str, list[Any]]:
        samples = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
        shape, parameters = [1, len(samples)], {"sampling_rate": RATE, **parameters}
        given = {"model": "several", "parameters": parameters, **more}
        return outputs(infer(triton, "waveform", "FP32", samples.tobytes(), shape, **given))

    fields = ("label", "score", "scores")
    everything = several({})
    assert set(everything) == {f"{head}.{field}" for head in ("speaker", "keyword") for field in fields}
    chosen = several({"heads": "keyword"})
    assert set(chosen) == {f"keyword.{field}" for field in fields}
    assert chosen["keyword.label"] == everything["keyword.label"]
    vector = several({"output": "embedding"})["embedding"]
    assert len(vector) == 12
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    named = several({}, outputs=[{"name": "speaker.label"}, {"name": "embedding"}])
    assert set(named) == {"speaker.label", "embedding"}
    np.testing.assert_allclose(named["embedding"], vector, atol=NEAR)


def test_tritons_own_top_k_names_the_labels(triton: Triton) -> None:
    asked = [{"name": "scores", "parameters": {"classification": 2}}]
    found = outputs(audio(triton, CLIPS[0], outputs=asked))["scores"]
    assert [each.split(":")[2] for each in found] == outputs(audio(triton, CLIPS[0]))["label"][:2]


def test_a_tensor_of_text_that_lies_about_its_length_harms_nobody(triton: Triton) -> None:
    pids = triton.worker_pids()
    lie = infer(triton, "audio", "BYTES", (2**31).to_bytes(4, "little") + b"x", [1, 1])
    assert lie.status_code == 400
    assert triton.worker_pids() == pids


@pytest.mark.parametrize(
    "path",
    [
        "repository/models/demo/unload",
        "systemsharedmemory/region/a/register",
        "logging",
        "trace/setting",
    ],
)
def test_restricted_apis_are_refused_without_the_word_of_this_start(triton: Triton, path: str) -> None:
    answer = requests.post(f"{triton.url}/v2/{path}", json={}, timeout=60)
    assert answer.status_code == 403


def test_everything_listens_on_loopback(triton: Triton) -> None:
    assert triton.pid is not None
    listening = [
        connection.laddr.ip
        for process in [psutil.Process(triton.pid), *psutil.Process(triton.pid).children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.family == socket.AF_INET
    ]
    assert set(listening) == {"127.0.0.1"}


def test_the_workers_metrics_have_the_names_that_torchserves_have(triton: Triton) -> None:
    outputs(audio(triton, CLIPS[0]))
    audio(triton, b"no audio")
    found = {metric.name: metric for metric in triton.metrics(Served({"demo": ["2.0"]}))}
    codes = {sample.labels["code"] for sample in found["speaker_id_requests"].samples if sample.value}
    assert {"ok", "unsupported_media"} <= codes
    assert found["speaker_id_batch_seconds"].type == "histogram"
    assert found["nv_inference_count"].samples[0].value > 0, "Triton's own stand beside ours"
    assert triton.spent().requests > 0


@pytest.fixture(scope="module")
def gateway(triton: Triton) -> Iterator[Gateway]:
    with Gateway(triton, GatewayOptions(ports.free(1)[0]), response_timeout=300) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def infer_call(gateway: Gateway) -> Iterator[Callable[[bytes], bytes]]:
    """ModelInfer over gRPC, of one clip."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(content)) + content

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value % 128 | 128]) + varint(value // 128)

    with grpc.insecure_channel(f"{LOOPBACK}:{gateway.port}", [("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

        def call(clip: bytes) -> bytes:
            tensor = field(1, b"audio") + field(2, b"BYTES") + field(3, bytes([1, 1]))
            element = len(clip).to_bytes(4, "little") + clip
            answer: bytes = ask(field(1, b"demo") + field(5, tensor) + field(7, element), timeout=600)
            return answer

        yield call


def test_nobody_notices_that_a_worker_ended_and_another_is_loaded_in_its_place(
    triton: Triton, gateway: Gateway, infer_call: Callable[[bytes], bytes]
) -> None:
    """Whether it had their requests, or they come while there is none; over HTTP and gRPC."""
    (pid,) = triton.management.versions("demo")["2.0"].pids
    expected = outputs(audio(triton, CLIPS[0]))["label"]
    tensor = b"".join(len(label).to_bytes(4, "little") + label.encode() for label in expected)

    def post() -> list[str]:
        response = requests.post(f"{gateway.url}/predictions/demo", CLIPS[0], timeout=600)
        assert response.status_code == 200, response.text
        return [entry["label"] for entry in response.json()]

    with ThreadPoolExecutor(2 * BATCH) as pool:
        answers = [pool.submit(post) for _ in range(BATCH // 2)]
        calls = [pool.submit(infer_call, CLIPS[0]) for _ in range(BATCH // 2)]
        wait_until(lambda: batch_of(pid))
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not triton.management.versions("demo")["2.0"].ready)
        answers.append(pool.submit(post))
        calls.append(pool.submit(infer_call, CLIPS[0]))
        assert [each.result() for each in answers] == [expected] * len(answers)
        assert all(tensor in each.result() for each in calls)
    wait_until(lambda: triton.management.versions("demo")["2.0"].ready)
    assert triton.worker_pids() != [pid]


def test_nvidias_own_clients_get_the_same_answers(triton: Triton, tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    clip.write_bytes(CLIPS[0])
    script = Path(__file__).with_name("triton_clients.py")
    ran = subprocess.run(
        [installed.python(), script, triton.url.removeprefix("http://"), triton.grpc, clip],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    by_http, by_grpc = json.loads(ran.stdout)
    expected = outputs(audio(triton, CLIPS[0]))["label"]
    for found in (by_http, by_grpc):
        assert found["label"] == expected
        assert found["ragged"] == [[1, 5], [1, 5]]
        assert "unsupported_media[0]: " in found["error"]


def test_a_stop_leaves_nothing(triton: Triton) -> None:
    assert triton.temp is not None
    temp, seen = triton.temp, triton.identities()
    triton.stop()
    assert not [each for each in seen if each.alive]
    assert not temp.exists()
    assert not list(Path("/dev/shm").glob(f"{temp.name}-*"))
