"""One server's exporter: which part is asked how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import requests
from prometheus_client import Metric

from bundle.sources import ModelSpec
from serving.gateway.envoy import Gateway
from serving.metrics import gateway as envoy
from serving.metrics import models, torchserve
from serving.metrics.access_log import AccessLog
from serving.metrics.catalogue import ACCESS_LOG, GATEWAY, MANAGEMENT, TORCHSERVE
from serving.metrics.exporter import DEADLINE, Exporter
from serving.metrics.served import Served
from serving.torchserve.process import TorchServe


def exporter(
    server: TorchServe, gateway: Gateway, specs: Sequence[ModelSpec], address: str, port: int
) -> Exporter:
    """The exporter of a TorchServe and its gateway; to be made before the gateway starts to write its log."""
    served = Served({spec.name: [spec.version] for spec in specs})
    log = AccessLog(gateway.access_log, served)

    def of_torchserve() -> Iterator[Metric]:
        with requests.Session() as session:
            session.trust_env = False  # a proxy from the environment has no business on loopback
            answer = session.get(f"{server.metrics_url}/metrics", timeout=DEADLINE)
        answer.raise_for_status()
        return torchserve.collect(answer.text, served)

    parts = {
        TORCHSERVE: of_torchserve,
        MANAGEMENT: lambda: models.collect(server.describe, served, gateway.usable),
        GATEWAY: lambda: envoy.collect(gateway.stats(envoy.PATH)),
        ACCESS_LOG: log.collect,
    }
    return Exporter(parts, address, port)
