"""TorchServe's gRPC inference API, from the .proto files that its own jar carries."""

from __future__ import annotations

import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
from grpc.experimental import gevent as grpc_gevent

from measure.loadtest import LoadTestError
from measure.loadtest.target import Target

ANSWERED = 200  # gRPC has no status of ours: TorchServe answers OK, and an error is in the body


class Channel:
    """One connection to `host:port/NAME` or `host:port/NAME:VERSION`, which greenlets share.

    Raises:
        LoadTestError: there is no TorchServe to take the API from.
    """

    def __init__(self, address: str) -> None:
        grpc_gevent.init_gevent()  # else a call would block every greenlet
        server, _, model = address.rpartition("/")
        name, _, version = model.partition(":")
        self._model = {"model_name": name, "model_version": version}
        self._messages, services = _api()
        self._channel = grpc.insecure_channel(server, [("grpc.enable_http_proxy", 0)])
        self._call = services.InferenceAPIsServiceStub(self._channel).Predictions

    def predict(self, audio: bytes, target: Target) -> tuple[int, bytes]:
        """Status and body; status 0 comes with a code in place of the body."""
        request = self._messages.PredictionsRequest(**self._model, input={"data": audio})
        headers = [(name.lower(), value) for name, value in target.headers.items()]
        try:
            answer = self._call(request, timeout=target.timeout, metadata=headers)
        except grpc.RpcError as exc:
            return 0, f"grpc_{exc.code().name.lower()}".encode()
        return ANSWERED, answer.prediction


def _api() -> tuple[Any, Any]:
    """Modules of the messages and of the services, compiled from the .proto files."""
    home = find_spec("ts")
    if home is None or not home.submodule_search_locations:
        raise LoadTestError("gRPC needs TorchServe's package, which holds the API: run `make setup`")
    jar = Path(home.submodule_search_locations[0]) / "frontend" / "model-server.jar"
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(jar) as content:
            for proto in ("inference.proto", "google/rpc/status.proto"):
                content.extract(proto, folder)
        sys.path.append(folder)  # where the compiler looks for them
        try:
            messages, services = grpc.protos_and_services("inference.proto")
        finally:
            sys.path.remove(folder)
    return messages, services
