"""gRPC `Predictions`: the same JSON body; errors in the body, since TorchServe drops the status there.

The stubs are generated from the .proto files that TorchServe's own jar carries.
"""

from __future__ import annotations

import importlib
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import grpc
import pytest
import requests
import ts
from grpc_tools import protoc

from serving.torchserve.process import TorchServe

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).resolve().parents[2] / "models" / "demo" / "samples"
AUDIO = sorted(SAMPLES.glob("*.flac"))[0].read_bytes()


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleType, ModuleType]]:
    folder = tmp_path_factory.mktemp("proto")
    with zipfile.ZipFile(Path(ts.__file__).parent / "frontend" / "model-server.jar") as jar:
        jar.extract("inference.proto", folder)
        jar.extract("google/rpc/status.proto", folder)
    include = Path(protoc.__file__).parent / "_proto"
    arguments = ["", f"-I{folder}", f"-I{include}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main([*arguments, "inference.proto", "google/rpc/status.proto"]) == 0
    sys.path.insert(0, str(folder))
    importlib.import_module("google.protobuf")
    import google

    google.__path__.append(str(folder / "google"))  # google/rpc/status_pb2 lies beside protobuf's own package
    yield importlib.import_module("inference_pb2"), importlib.import_module("inference_pb2_grpc")
    sys.path.remove(str(folder))


def predict(server: TorchServe, stubs: tuple[ModuleType, ModuleType], **parts: bytes) -> bytes:
    messages, services = stubs
    with grpc.insecure_channel(server.grpc, [("grpc.enable_http_proxy", 0)]) as channel:
        service = services.InferenceAPIsServiceStub(channel)
        answer = service.Predictions(messages.PredictionsRequest(model_name="demo", input=parts), timeout=600)
        prediction: bytes = answer.prediction
        return prediction


def test_the_answer_is_the_same_json(server: TorchServe, stubs: tuple[ModuleType, ModuleType]) -> None:
    over_http = requests.post(f"{server.url}/predictions/demo", data=AUDIO, timeout=600).json()
    over_grpc = json.loads(predict(server, stubs, data=AUDIO))
    assert [entry["label"] for entry in over_grpc] == [entry["label"] for entry in over_http]
    assert over_grpc[0]["score"] == pytest.approx(over_http[0]["score"], abs=1e-6)


def test_options_are_further_inputs(server: TorchServe, stubs: tuple[ModuleType, ModuleType]) -> None:
    assert len(json.loads(predict(server, stubs, data=AUDIO, top_k=b"2"))) == 2


def test_an_error_is_in_the_body(server: TorchServe, stubs: tuple[ModuleType, ModuleType]) -> None:
    error = json.loads(predict(server, stubs, data=b"no audio"))
    assert error["code"] == "unsupported_media"
