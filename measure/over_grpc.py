"""Clips over gRPC, as each model server has it: a clip → the message of a call, and that of the answer → JSON.

Messages are bytes here, so that any channel can send them; they are made from the .proto files with grpcio-tools.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import grpc

from measure import MeasureError

OPEN_INFERENCE = Path(__file__).with_name("open_inference.proto")
# as JSON bodies of the same size would be refused by neither
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
LENGTH = struct.Struct("<I")  # before each element of a BYTES tensor


class Api(Protocol):
    """One server's way to ask for a prediction."""

    method: str

    def request(self, model: str, version: str, audio: bytes) -> bytes:
        """The message of a call; an empty version is the default one."""

    def answer(self, message: bytes) -> bytes:
        """JSON with the ranking, or with the error."""


class TorchServes:
    """`org.pytorch.serve.grpc`: its answer is the handler's, whatever its status."""

    method = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"

    def request(self, model: str, version: str, audio: bytes) -> bytes:
        message = _torchserve().PredictionsRequest(
            model_name=model, model_version=version, input={"data": audio}
        )
        return bytes(message.SerializeToString())

    def answer(self, message: bytes) -> bytes:
        return bytes(_torchserve().PredictionResponse.FromString(message).prediction)


class OpenInference:
    """`inference.GRPCInferenceService`, Triton's: the audio file is the one element of a BYTES tensor."""

    method = "/inference.GRPCInferenceService/ModelInfer"

    def request(self, model: str, version: str, audio: bytes) -> bytes:
        message = _open_inference().ModelInferRequest(
            model_name=model,
            model_version=version,
            inputs=[{"name": "audio", "datatype": "BYTES", "shape": [1, 1]}],
            outputs=[{"name": "label"}, {"name": "score"}],
            raw_input_contents=[LENGTH.pack(len(audio)) + audio],
        )
        return bytes(message.SerializeToString())

    def answer(self, message: bytes) -> bytes:
        found = _open_inference().ModelInferResponse.FromString(message)
        raw = {it.name: content for it, content in zip(found.outputs, found.raw_output_contents, strict=True)}
        labels, scores = raw["label"], raw["score"]
        ranking = zip(elements(labels), struct.unpack(f"<{len(scores) // 4}f", scores), strict=True)
        return json.dumps([{"label": label, "score": score} for label, score in ranking]).encode()


APIS: Mapping[str, Api] = {"torchserve": TorchServes(), "triton": OpenInference()}  # by model server


def channel(address: str) -> grpc.Channel:
    """To host:port on this machine or another, never through a proxy."""
    return grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0), *UNLIMITED])


def elements(tensor: bytes) -> Iterator[str]:
    """Those of a BYTES tensor, as text."""
    place = 0
    while place < len(tensor):
        (length,) = LENGTH.unpack_from(tensor, place)
        place += LENGTH.size + length
        yield tensor[place - length : place].decode()


@cache
def _torchserve() -> Any:
    home = find_spec("ts")
    if home is None or not home.submodule_search_locations:
        raise MeasureError("TorchServe's gRPC needs its package, which holds the API: run `make setup`")
    jar = Path(home.submodule_search_locations[0]) / "frontend" / "model-server.jar"
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(jar) as content:
            for proto in ("inference.proto", "google/rpc/status.proto"):
                content.extract(proto, folder)
        with _importing(folder):
            return grpc.protos("inference.proto")


@cache
def _open_inference() -> Any:
    with _importing(str(OPEN_INFERENCE.parent)):
        return grpc.protos(OPEN_INFERENCE.name)


@contextmanager
def _importing(folder: str) -> Iterator[None]:
    """The compiler looks for files where Python looks for modules."""
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
