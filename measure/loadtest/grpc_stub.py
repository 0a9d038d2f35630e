"""The model servers' gRPC in a process of greenlets."""

from __future__ import annotations

import grpc
from grpc.experimental import gevent as grpc_gevent

from measure import over_grpc
from measure.loadtest.target import GRPC, GRPC_V2, Target

APIS = {GRPC: over_grpc.APIS["torchserve"], GRPC_V2: over_grpc.APIS["triton"]}
ANSWERED = 200  # TorchServe answers OK, and an error is in the body; Triton's errors are statuses of gRPC


class Channel:
    """One connection to `host:port/NAME` or `host:port/NAME:VERSION`, which greenlets share.

    Raises:
        MeasureError: there is no TorchServe to take its API from.
    """

    def __init__(self, address: str, form: str) -> None:
        grpc_gevent.init_gevent()  # else a call would block every greenlet
        server, _, model = address.rpartition("/")
        self._name, _, self._version = model.partition(":")
        self._api = APIS[form]
        self._call = over_grpc.channel(server).unary_unary(self._api.method)

    def predict(self, audio: bytes, target: Target) -> tuple[int, bytes]:
        """Status and body; status 0 comes with a code in place of the body."""
        request = self._api.request(self._name, self._version, audio)
        headers = [(name.lower(), value) for name, value in target.headers.items()]
        try:
            answer = self._call(request, timeout=target.timeout, metadata=headers)
        except grpc.RpcError as exc:
            return 0, f"grpc_{exc.code().name.lower()}".encode()
        return ANSWERED, self._api.answer(answer)
