"""What the gateway has to know of Triton: gateway.lua says how it is asked."""

from __future__ import annotations

from pathlib import Path

from serving.model_server import Upstream

# Open Inference and Triton's own additions, except the repository, shared memory, logging and trace: those load code,
# read memory and write files. A stream of requests has no end that could be bounded.
METHODS = {
    "ServerLive": False,
    "ServerReady": True,
    "ModelReady": True,
    "ServerMetadata": False,
    "ModelMetadata": False,
    "ModelConfig": False,
    "ModelStatistics": False,
    "ModelInfer": False,
}


def upstream(http: int, grpc: int) -> Upstream:
    """What the gateway has to know of a Triton that listens on these ports."""
    return Upstream(
        http=http,
        grpc=grpc,
        script=Path(__file__).with_name("gateway.lua"),
        service="inference.GRPCInferenceService",
        methods=METHODS,
        translated=(),
        without_headers=(),
        instead={
            "org.pytorch.serve.grpc.inference.InferenceAPIsService": "TorchServe's own gRPC is served by TorchServe "
            "alone: call inference.GRPCInferenceService/ModelInfer"
        },
        retried=(),
        software="Triton",
        platform="triton_python",
    )
