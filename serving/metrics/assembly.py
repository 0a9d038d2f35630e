"""One server's exporter: how each component is queried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import Metric

from bundle.sources import ModelSpec
from serving.gateway.envoy import Gateway
from serving.host import local_http
from serving.metrics import gateway as envoy
from serving.metrics import models, torchserve
from serving.metrics.access_log import AccessLog
from serving.metrics.catalogue import ACCESS_LOG, GATEWAY, MANAGEMENT, TORCHSERVE
from serving.metrics.exporter import DEADLINE, Exporter
from serving.metrics.served import Served
from serving.torchserve.process import TorchServe


def exporter(server: TorchServe, gateway: Gateway, specs: Sequence[ModelSpec]) -> Exporter:
    """The exporter of a TorchServe and its gateway; to be created before the gateway starts to write its log."""
    served = Served({spec.name: [spec.version] for spec in specs})
    log = AccessLog(gateway.access_log, served)

    def of_torchserve() -> Iterator[Metric]:
        answer = local_http.ask(local_http.tcp(server.metrics_url, DEADLINE), "GET", "/metrics")
        if answer.status != 200:
            raise OSError(f"TorchServe answers {answer.status} to a request for its metrics")
        return torchserve.collect(answer.text, served)

    parts = {
        TORCHSERVE: of_torchserve,
        MANAGEMENT: lambda: models.collect(server.describe, served, gateway.usable),
        GATEWAY: lambda: envoy.collect(gateway.stats(envoy.PATH)),
        ACCESS_LOG: log.collect,
    }
    return Exporter(parts, gateway.options.metrics_address, gateway.options.metrics_port)
