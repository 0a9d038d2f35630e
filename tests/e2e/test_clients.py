"""Clients that others wrote, unmodified, against the demo model behind a gateway that asks for a token.

Each runs once, as a process in an environment of its own (tests/e2e/clients/installed.py), and tells what it got: of a
clip, what curl gets; of an error, its own exception with our words in it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from bundle import archived
from serving.gateway import tokens
from serving.gateway.envoy import Gateway
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.metrics.assembly import exporter
from serving.model_server import ModelServer
from serving.service import gateway_of
from tests.e2e.clients import installed
from tests.e2e.open_inference import OPEN_INFERENCE

pytestmark = [pytest.mark.e2e, pytest.mark.any_server]

ROOT = Path(__file__).resolve().parents[2]
CLIP = sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))[0]
TOKEN = "a-token-of-the-clients-0123456789"
NO_MODEL = "no such model, or no such version of it: nobody"
NO_TOKEN = "this server requires Authorization: Bearer and a token"
NO_AUDIO = "the body is not in a supported audio format"
NOT_HERE = "of Open Inference over gRPC, only ModelInfer is served here"

Told = dict[str, Any]


@pytest.fixture(scope="module")
def gateway(
    server: ModelServer, demo_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.touch(0o600)
    file.write_text(f"{TOKEN}\n")
    options = GatewayOptions(ports.free(1)[0], tokens=tokens.read(file))
    specs = [archived.read(demo_store / "demo.mar")]
    with gateway_of(specs, server, options) as running:  # a client that asks for / gets no page
        counting = exporter(server, running, specs)  # it answers /v2/models/NAME/stats
        running.start()
        counting.start()
        yield running
        counting.stop()


@pytest.fixture(scope="module")
def expected(gateway: Gateway) -> list[list[Any]]:
    """What curl gets."""
    command = ["curl", "-sSf", "-H", f"Authorization: Bearer {TOKEN}", "-T", str(CLIP)]
    ran = subprocess.run([*command, f"{gateway.url}/predictions/demo"], capture_output=True, check=True)
    return [[each["label"], each["score"]] for each in json.loads(ran.stdout)]


@pytest.fixture
def run(gateway: Gateway, tmp_path: Path) -> Callable[..., Told]:
    """Run a client's script to its end; what it told, by case."""

    def run(*command: str | Path) -> Told:
        wav, notes = tmp_path / "clip.wav", tmp_path / "notes.txt"
        soundfile.write(wav, *soundfile.read(CLIP, dtype="int16"))
        notes.write_text("these are notes, and no audio at all")
        asked = {"url": gateway.url, "token": TOKEN, "clip": str(CLIP), "wav": str(wav), "notes": str(notes)}
        done = subprocess.run(
            [str(each) for each in command],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        told: Told = json.loads(done.stdout)
        return told

    return run


def same(told: Told, expected: list[list[Any]], *cases: str) -> None:
    """Every case got the ranking that curl gets."""
    for case in cases:
        assert isinstance(told[case], list), (case, told[case])
        assert [label for label, _ in told[case]] == [label for label, _ in expected], case
        scores = [score for _, score in told[case]]
        assert scores == pytest.approx([score for _, score in expected], abs=1e-6), case


def refused(told: Told, raised: str, cases: dict[str, str]) -> None:
    """Every case is the client's own exception, with our words in it."""
    for case, words in cases.items():
        assert told[case]["raised"] == raised, (case, told[case])
        assert words in told[case]["said"], (case, told[case])


def failed(told: dict[str, str], status: str, words: str) -> None:
    """A call over gRPC ended with this status, and our words."""
    assert told["status"] == status, told
    assert words in told["said"], told


def whole(gateway: Gateway) -> bool:
    """Whether the model server has all of Open Inference over gRPC, or the gateway ModelInfer alone: docs/triton.md."""
    return gateway.server.upstream.service == OPEN_INFERENCE


def test_tritonclient_with_its_defaults(run: Callable[..., Told], expected: list[list[Any]]) -> None:
    told = run(installed.python(), installed.HERE / "tritonclient_http.py")
    same(told, expected, "clip", "waveform", "waveform as JSON", "version", "gzip", "async_infer")
    same(told, expected[:2], "classes")
    assert told["one output"] == {"id": "r-1", "label": [label for label, _ in expected[:2]], "score": None}
    assert told["about"] == {
        "live": True,
        "ready": True,
        "model ready": True,
        "version ready": True,
        "another ready": False,
        "binary tensors": True,
        "versions": ["2.0"],
        "config": "demo",
        "statistics": "demo",
    }
    refused(
        told,
        "tritonclient.utils.InferenceServerException",
        {"no audio": NO_AUDIO, "no model": NO_MODEL, "no token": NO_TOKEN},
    )


def test_tritonclients_aio(run: Callable[..., Told], expected: list[list[Any]]) -> None:
    told = run(installed.python(), installed.HERE / "tritonclient_aio.py")
    same(told, expected, "clip")
    refused(
        told,
        "tritonclient.utils.InferenceServerException",
        {"no audio": NO_AUDIO, "no model": NO_MODEL, "no token": NO_TOKEN},
    )


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="KServe's SDK has no release for Python 3.14")
def test_kserves_sdk(run: Callable[..., Told], expected: list[list[Any]]) -> None:
    told = run(installed.python(), installed.HERE / "kserve_sdk.py")
    same(told, expected, "v1 clip", "v2 clip", "v2 waveform")
    same(told, expected, *(f"v2 {what} in binary" for what in ("clip", "waveform", "outputs", "all")))
    for protocol in ("v1", "v2"):
        errors = {"no audio": NO_AUDIO, "no model": NO_MODEL, "no token": NO_TOKEN}
        refused(
            told, "httpx.HTTPStatusError", {f"{protocol} {case}": words for case, words in errors.items()}
        )
    same(told, expected, "v2 over gRPC")
    errors = {"no audio": NO_AUDIO, "no model": NO_MODEL, "no token": NO_TOKEN}
    over_grpc = {f"v2 over gRPC, {case}": words for case, words in errors.items()}
    refused(told, "grpc.aio._call.AioRpcError", over_grpc)
    assert told["about"] == {
        "v1 live": True,
        "v1 model ready": True,
        "v2 live": True,
        "v2 ready": True,
        "v2 model ready": True,
        "v2 another ready": False,
    }


@pytest.mark.parametrize("release", ["pinned", "0.27"])
def test_huggingface_hub(run: Callable[..., Told], expected: list[list[Any]], release: str) -> None:
    python = sys.executable if release == "pinned" else installed.python()
    told = run(python, installed.HERE / "huggingface.py")
    same(told, expected, "clip", "clip by its name")
    same(told, expected[:2], "top_k")
    refused(
        told,
        "huggingface_hub.errors.HfHubHTTPError",
        {"no audio": NO_AUDIO, "no model": NO_MODEL, "no token": NO_TOKEN},
    )


def test_grpcs_own_health_client(run: Callable[..., Told]) -> None:
    told = run(installed.python(), installed.HERE / "grpc_health_client.py")
    assert told["server"] == told["model"] == "SERVING"
    failed(told["watch"], "UNIMPLEMENTED", "call it again instead of Watch")
    failed(told["another model"], "NOT_FOUND", NO_MODEL)
    failed(told["no token"], "UNAUTHENTICATED", "for the health of a model")


def test_tritonclients_grpc(run: Callable[..., Told], gateway: Gateway, expected: list[list[Any]]) -> None:
    told = run(installed.python(), installed.HERE / "tritonclient_grpc.py")
    failed(told["no token"], "UNAUTHENTICATED", NO_TOKEN)
    for case in told["closed without token"].values():
        failed(case, "UNAUTHENTICATED", NO_TOKEN)
    for name, case in told["closed"].items():
        failed(case, "UNIMPLEMENTED", "are served" if whole(gateway) else NOT_HERE)
        assert json.loads(case["said"])["code"] == "not_found", name
    same(told, expected, "clip", "waveform", "gzip", "async_infer")
    same(told, expected[:2], "classes of scores" if whole(gateway) else "classes of score")
    assert told["top_k"] == {"id": "r-1", "label": [label for label, _ in expected[:2]]}
    failed(told["no audio"], "INVALID_ARGUMENT", NO_AUDIO)
    failed(told["no model"], "NOT_FOUND", NO_MODEL)
    failed(told["too large"], "RESOURCE_EXHAUSTED", "larger than 33554432 bytes")
    if not whole(gateway):
        refused(told, "tritonclient.utils.InferenceServerException", {"about": NOT_HERE})
        return
    assert told["about"] == {
        "live": True,
        "ready": True,
        "model ready": True,
        "another ready": False,
        "server": "triton",
        "metadata": "demo",
        "config": "demo",
        "statistics": "demo",
    }


def test_nodes_fetch(run: Callable[..., Told], expected: list[list[Any]]) -> None:
    told = run(*installed.node("fetch.mjs"))
    same(told, expected, "clip", "form", "json", "streamed")
    errors = {
        case: (told[case]["status"], told[case]["code"]) for case in ("no audio", "no model", "no token")
    }
    assert errors == {
        "no audio": (415, "unsupported_media"),
        "no model": (404, "model_not_found"),
        "no token": (401, "unauthorized"),
    }
    assert told["no model"]["error"] == NO_MODEL


def test_hugging_faces_javascript(run: Callable[..., Told], expected: list[list[Any]]) -> None:
    told = run(*installed.node("inference.mjs"))
    same(told, expected, "clip")
    refused(
        told,
        "InferenceClientProviderApiError",
        {"no audio": NO_AUDIO, "no model": NO_MODEL, "no token": NO_TOKEN},
    )


def test_perf_analyzer(gateway: Gateway, tmp_path: Path) -> None:
    """It reads no answer, but counts only those that are no error."""
    program, variables = installed.perf_analyzer()

    def run(audio: bytes, *more: str) -> subprocess.CompletedProcess[str]:
        data = tmp_path / "clip.json"
        # base64 stands for a tensor's bytes: a string's are its length and itself
        clip = {"b64": base64.b64encode(len(audio).to_bytes(4, "little") + audio).decode()}
        data.write_text(json.dumps({"data": [{"audio": {"content": clip, "shape": [1]}}]}))
        command = [program, "-m", "demo", "-i", "http", "-u", gateway.url.removeprefix("http://")]
        command += ["--input-data", data, "--request-count", "4", *more]
        return subprocess.run([str(each) for each in command], capture_output=True, text=True, env=variables)

    token = ("-H", f"Authorization: Bearer {TOKEN}")
    answered = run(CLIP.read_bytes(), *token)
    assert answered.returncode == 0, answered.stdout + answered.stderr
    assert "Request count: 4" in answered.stdout
    for refused, words in ((run(b"these are notes", *token), NO_AUDIO), (run(CLIP.read_bytes()), NO_TOKEN)):
        assert refused.returncode != 0
        assert words in refused.stdout + refused.stderr
